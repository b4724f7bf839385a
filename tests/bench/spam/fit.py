#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Fits the scores of the built-in rules to the three training sets of the corpus, and nothing else:

    fit.py SPAM_CORPUS          what the present scores and fitted ones catch, cross-validated
    fit.py SPAM_CORPUS --write  puts the fitted scores into src/spam/rules

A logistic regression that is pulled towards what stands in priors.txt (a person's judgement of each rule): a rule that the training
sets hardly know keeps its prior. A rule that speaks for spam never gets a score below 0, one that speaks against it never one above;
no rule gets more than twice its prior and a little. 5 points is where spam and other mail are equally likely."""
import glob
import os
import re
import subprocess
import sys

import numpy as np
from scipy.optimize import minimize

import corpus

HERE = os.path.dirname(os.path.abspath(__file__))
RULES = os.path.join(HERE, '../../../src/spam/rules')
PULL = 3.0
HARD = 4.0  # what a newsletter weighs that looks like spam: there are few of them in the sets, and many in life


def hits(program, files):
    out = subprocess.run([program, 'hits'], input='\n'.join(files) + '\n', capture_output=True, text=True, check=True).stdout
    rows = [line.split('\t')[1].split() for line in out.splitlines()]
    names = sorted({n for row in rows for n in row})
    x = np.zeros((len(rows), len(names)))
    for i, row in enumerate(rows):
        x[i, [names.index(n) for n in row]] = 1
    return x, names


def priors():
    return {name: float(v) for name, v in (line.split() for line in open(os.path.join(HERE, 'priors.txt')))}


def scores():
    found, name = {}, None
    for file in glob.glob(RULES + '/*.rules'):
        for line in open(file):
            rule, score = re.match(r'rule (\w+)', line), re.match(r'\s+score\s+(-?[\d.]+)', line)
            name = rule.group(1) if rule else name
            if score:
                found[name] = float(score.group(1))
    return found


def fit(x, y, hard, w0):
    sign, weight = np.where(y, 1.0, -1.0), np.where(y, 1.0, np.where(hard, 0.6 * HARD, 0.6))

    def cost(w):
        z = (x @ w - 5.0) * sign
        slope = -(1 / (1 + np.exp(np.clip(z, -50, 50)))) * sign * weight
        return (weight * np.logaddexp(0, -z)).sum() + PULL * ((w - w0) ** 2).sum(), x.T @ slope + 2 * PULL * (w - w0)
    bounds = [(0.0, min(4.0, 2 * p + 0.8)) if p > 0 else (1.5 * p - 0.5, 0.0) if p < 0 else (0.0, 0.0) for p in w0]
    return minimize(cost, w0.copy(), jac=True, bounds=bounds, method='L-BFGS-B', options={'maxiter': 500}).x


def report(name, judge, c):
    rows = []
    for train, test in c.folds():
        rows.append(corpus.caught(judge(train)[test], c.spam[test], c.hard[test]))
    print('%-10s %s' % (name, '  '.join('%5.1f' % v for v in np.mean(rows, axis=0))))


def write(fitted):
    for file in glob.glob(RULES + '/*.rules'):
        name, lines = None, []
        for line in open(file):
            rule = re.match(r'rule (\w+)', line)
            name = rule.group(1) if rule else name
            if name in fitted and re.match(r'\s+score\s+-?[\d.]+\s*$', line):
                line = '    score  %.1f\n' % (fitted[name] + 0.0 or 0.0)
            lines.append(line)
        with open(file, 'w') as out:
            out.writelines(lines)


def main():
    c = corpus.Training()
    x, names = hits(sys.argv[1], c.files)
    prior, now = priors(), scores()
    w0 = np.array([prior.get(n, now.get(n, 0)) for n in names])
    if '--write' in sys.argv:
        fitted = dict(prior)
        fitted.update({n: round(w, 1) for n, w in zip(names, fit(x, c.spam, c.hard, w0))})
        write(fitted)
        return
    print('percent of spam caught, five blocks of time, each judged by the others')
    print('%-10s %s' % ('of ham', 'easy 0.1 %, 0.5 %; all 0.5 %, 2 %'))
    report('priors', lambda train: x @ w0, c)
    report('now', lambda train: x @ np.array([now.get(n, 0) for n in names]), c)
    report('fitted', lambda train: x @ fit(x[train], c.spam[train], c.hard[train], w0), c)


if __name__ == '__main__':
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How much spam is caught when so and so much of the other mail is marked, and what it costs. bench.py SPAM_CORPUS [--ours] [--fresh]

All are trained with the same three sets and judge the same two, later ones, without network. Nothing is printed of single messages."""
import json
import os
import sys

import numpy as np

import corpus
import ours

CACHE = os.path.join(corpus.HERE, 'cache')


def line(name, score, spam, ms):
    score = np.array(score)
    marked = (score[~spam] >= 5).mean() * 100, (score[spam] >= 5).mean() * 100
    print('%-36s %8.1f %8.1f %10s %8.2f' % (name, corpus.caught_at(score, spam, 0.001), corpus.caught_at(score, spam, 0.005),
                                          '%.2f/%.1f' % marked if 'ogofilter' not in name else '', ms), flush=True)


def peer(name, version, measure, fresh):
    """Scores of a peer, kept in a folder: they change with its version only."""
    file = os.path.join(CACHE, '%s-%s.json' % (name.replace(' ', '-'), version))
    if os.path.exists(file) and not fresh:
        return json.load(open(file))
    result = measure()
    os.makedirs(CACHE, exist_ok=True)
    json.dump(result, open(file, 'w'))
    return result


def main():
    program = sys.argv[1]
    judged = corpus.files(corpus.JUDGE_HAM) + corpus.files(corpus.JUDGE_SPAM)
    spam = np.array(['/spam-' in f for f in judged])
    print('%d other messages, %d of spam; percent of spam caught at' % ((~spam).sum(), spam.sum()))
    print('%-36s %8s %8s %10s %8s' % ('', '0.1 %', '0.5 %', 'at 5 pts', 'CPU ms'))
    for trained in (True, False):
        line('Postern, %s' % ('trained' if trained else 'rules only'), *[(r := ours.measure(program, trained, judged))[0], spam, r[1]])
    if '--ours' in sys.argv:
        return
    import peers
    for name, version, measure in peers.all_of_them(judged):
        score, ms = peer(name, version, measure, '--fresh' in sys.argv)
        line('%s %s' % (name, version), score, spam, ms)


if __name__ == '__main__':
    main()

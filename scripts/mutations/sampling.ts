import { type Mutation, mistakes } from './mutation.ts'

const suite = 'test/store/sampled-history.test.ts'
const AWAY = 'test/serving/unrecorded-keys.test.ts'
const SAMPLE = 'src/definition/history-sample.ts'

/** Mistakes in what is recorded of a sample of keys, and in what is made of history then. */
export const mutations: readonly Mutation[] = [
  ...mistakes(
    { suite, file: SAMPLE },
    {
      'sampling: keys are chosen by another hash': ['xxHash32(encodedKey)', 'xxHash32(encodedKey, 1)'],
      'sampling: sources need not say when their rows arrived': ["return available === null ? 'does", "return available === '' ? 'does"],
      'sampling: what is recorded of a key is its latest value': ["if (origin === 'pushed') return true", 'return true'],
      'sampling: what was recorded before more was is the latest value': ['createdAt >= (recordedSince ??', 'createdAt >= (null ??'],
      'sampling: what was served is known of every key': [
        'return isInSample(encodedKey, sampled.share)\n  return gapFrom',
        'return true\n  return gapFrom',
      ],
    },
  ),
  ...mistakes(
    { suite, file: 'src/store/recording/history-policy.ts' },
    {
      'sampling: every key is recorded': ['if (!recordsKey(feature, key))', 'if (false)'],
      'sampling: a push comes back behind what was computed after it': ["rows: [], after: 'other_origin'", 'rows: [], after: undefined'],
      'sampling: a push that comes too late comes back': ["rows: [value], after: 'other_origin'", 'rows: [value], after: undefined'],
    },
  ),
  ...mistakes(
    { suite, file: 'src/app/recorded-keys.ts' },
    {
      'sampling: stores that recorded all are sampled untold': ['if (starts.length > 0 || lastSeq > 0)', 'if (false)'],
      'sampling: sampling once is forgotten': ['await changes.addChanges(toNote)', ''],
    },
  ),
  ...mistakes(
    { suite: AWAY, file: 'src/serving/unsure.ts' },
    {
      'sampling: while the store is away what is known here is the latest value': ['newest && !isKnown &&', 'newest && false &&'],
      'sampling: while the store is away a key is computed for each read': ['<= now() - STILL_NEW', '<= now()'],
    },
  ),
  ...mistakes(
    { suite: AWAY, file: 'src/store/recording/recorder.ts' },
    {
      'sampling: while the store is away a push outlives what follows it': [
        'queue.add(rowsOfUnrecorded(prepared, clock.now(), nextSeq))',
        '',
      ],
    },
  ),
  ...mistakes(
    { suite: 'test/store/redis-online-store.test.ts', file: 'src/store/redis/format/scripts.ts' },
    {
      'sampling: Redis tells nobody of values of another origin': [
        "elseif known ~= '' then isStrange",
        "elseif known == '-' then isStrange",
      ],
    },
  ),
]

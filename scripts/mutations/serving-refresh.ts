import { type Mutation, mistakes } from './mutation.ts'

const REFRESHING = 'test/refresh/refreshing.test.ts'
const ACTIVE_KEYS = 'test/refresh/active-keys.test.ts'
const RECORDER = 'test/store/recorder.test.ts'
const SCHEDULER = 'src/refresh/scheduler.ts'
const REFRESHER = 'src/refresh/refresher.ts'
const POLICY = 'src/store/recording/history-policy.ts'

/** When values are computed again, for which keys, and what of it becomes history. */
export const mutations: readonly Mutation[] = [
  ...mistakes(
    { suite: REFRESHING, file: 'src/collections/semaphore.ts' },
    { 'a due feature does not get its turn': ['if (next) next()', 'if (next) void next'] },
  ),
  ...mistakes(
    { suite: REFRESHING, file: SCHEDULER },
    {
      'a run overlaps itself': ['window === null || state.running) continue', 'window === null) continue'],
      'a slow feature holds up the others': ['MAX_RUNS_AT_ONCE = 2', 'MAX_RUNS_AT_ONCE = 1'],
      'a failed run is not tried again': ['state.failures > 0 && now >= state.retryAt', 'false'],
      'a failed run is tried again without a pause': ['state.failures > 0 && now >= state.retryAt', 'state.failures > 0'],
      'the pause does not grow': ['backoff(state.failures, { first: FIRST_RETRY, longest })', 'FIRST_RETRY'],
      'a failing list of keys is not tried again': [
        'could not start`, { error })\n      pause(feature, state)',
        'could not start`, { error })',
      ],
      'keys gone from the list are computed on': [
        'activeKeys.drop(feature, key)\n    return listed',
        'activeKeys.drop(feature, key)\n    return [...gone.values(), ...listed]',
      ],
      'keys gone from the list stay in use': ['for (const key of gone.values()) activeKeys.drop(feature, key)\n', ''],
      'listed keys are computed only when read': ['if (active.length === 0) return listed\n', 'if (active.length === 0) return active\n'],
      'missed windows are made up for one by one': [
        'return Math.floor((now - shift) / refresh.every) * refresh.every + shift',
        'return Math.min(Math.floor((now - shift) / refresh.every) * refresh.every + shift, last < 0 ? now : last + refresh.every)',
      ],
      'all features start at once': ['Math.min(every / 20, LONGEST_SHIFT)', '0'],
      'a firing is seen late': ['return next <= now ?', 'return next < now ?'],
      'stopping does not wait': ['await Promise.all([...progress.values()].map((state) => state.running))', ''],
      'a stopped scheduler starts runs': ['if (stopped || !(await options', 'if (!(await options'],
    },
  ),
  ...mistakes(
    { suite: REFRESHING, file: 'src/refresh/due-keys.ts' },
    { 'what this window has is computed again': ['before !== null && value && value.eventAt >= before', 'false'] },
  ),
  ...mistakes(
    { suite: REFRESHING, file: REFRESHER },
    {
      'an unchanged value counts as changed': [
        "} else if (!sameTexts(computed.kind === 'value' ? computed.texts : null, old)) record.changed++",
        '} else record.changed++',
      ],
      'failures are not counted': ['        record.failed++\n', ''],
      'the first failure is not told': ['        record.error ??= computed.error.message\n', ''],
      'keys of a function all wait in one batch': ['FUNCTION_BATCH = 64', 'FUNCTION_BATCH = 6_400'],
      'keys of a query are asked for in many': ['const SQL_BATCH = 500_000', 'const SQL_BATCH = 100'],
    },
  ),
  ...mistakes(
    { suite: REFRESHING, file: 'src/compute/single-flight/feature-queue.ts' },
    {
      'a failure overwrites a good value': [
        'if (this.isAnswer(key.encoded, computed) && !refreshBatch.isForgotten(row)) kept.push({ key, inputs: undefined, computed, asOf })',
        "kept.push({ key, inputs: undefined, computed: computed.kind === 'error' ? { kind: 'missing' } : computed, asOf })",
      ],
      'readers do not join a refresh': [
        'const inFlight = refreshBatch.inFlight(id)\n',
        'const inFlight = undefined as InFlight | undefined\n',
      ],
      'a refresh whose answers are lost has not failed': [
        'refreshBatch.settle(await this.runner.keep(this.feature, kept, null))',
        'await this.runner.keep(this.feature, kept, null)\n      refreshBatch.settle(undefined)',
      ],
    },
  ),
  ...mistakes(
    { suite: 'test/serving/store-down.test.ts', file: 'src/compute/single-flight/feature-queue.ts' },
    {
      'a computed value that cannot be kept is not served': [
        'await this.runner.keep(this.feature, kept, patienceMs)',
        'if (await this.runner.keep(this.feature, kept, 1_000)) settling.fill(failed(this.feature))',
      ],
    },
  ),
  ...mistakes(
    { suite: REFRESHING, file: 'src/refresh/active-keys.ts' },
    {
      'keep_warm is ignored': ['known.usedSince(clock.now() - keepWarm(feature))', 'known.usedSince(0)'],
      'keep_warm is never longer than a day': ['Math.max(DAY, 10 * feature.refresh.every)', 'DAY'],
      'a declared keep_warm is not heard': ['if (feature.keepWarm !== null) return feature.keepWarm\n', ''],
    },
  ),
  ...mistakes(
    { suite: ACTIVE_KEYS, file: 'src/refresh/key-uses.ts' },
    {
      'keys in use grow without limit': ['if (key !== undefined && this.times.get(row, USED) <= bound) this.drop(key.encoded)', ''],
      'an older use shortens a newer one': ['if (at > this.times.get(known, USED)) this.times', 'this.times'],
      'of keys that go, the wrong ones stay': ['this.size - limit - 1', 'this.size - limit'],
    },
  ),
  ...mistakes(
    { suite: ACTIVE_KEYS, file: SCHEDULER },
    { 'the tick is slower than the allowed lag': ['smallest / 4, halfLag)', 'smallest)'] },
  ),
  ...mistakes(
    { suite: REFRESHING, file: 'src/serving/engine.ts' },
    {
      'nobody hears that a key was read': ['      this.onRead(planned.feature, key, context.now)\n', ''],
      'nobody hears that a key was read which was not fresh': ['          if (isUse) this.onRead(planned.feature, key, now)\n', ''],
    },
  ),
  ...mistakes(
    { suite: REFRESHING, file: 'src/app/live-definitions.ts' },
    {
      'realtime keys are held in use': ['if (isScheduled(feature)) dependencies', 'if (feature.refresh !== null) dependencies'],
    },
  ),
  ...mistakes(
    { suite: REFRESHING, file: 'src/app/online-recovery.ts' },
    {
      'keys in use are forgotten at a restart': ['activeKeys.markUsed(feature, decodeKey(entity, entityKey), eventAt)', 'continue'],
    },
  ),
  ...mistakes(
    { suite: 'test/serving/start-recovery.test.ts', file: 'src/app/recalled-store.ts' },
    {
      'what this process has written counts as all there is': ["written !== 'all' && !written.has(id)", "written !== 'all' || id === ''"],
      'what memory lacks is not asked of history': ['if (lacking.length === 0) return stored', 'if (lacking.length >= 0) return stored'],
    },
  ),
  ...mistakes(
    { suite: 'test/serving/start-recovery.test.ts', file: 'src/app/online-recovery.ts' },
    {
      'a key forgotten during a recovery is in use again': [
        'if (!recorder.erasures.isErased(entity.name, entityKey, eventAt))',
        'if (true)',
      ],
    },
  ),
  ...mistakes(
    { suite: 'test/refresh/new-version.test.ts', file: 'src/app/warm-up.ts' },
    { 'a new version is not warmed': ['if (fitting.length > 0) await version', 'if (fitting.length < 0) await version'] },
  ),
  ...mistakes(
    { suite: RECORDER, file: POLICY },
    {
      'equal values are written': ['judgeEqual(newest, value, every) ? [value] : []', '[value]'],
      'equal values are never confirmed': ['value.eventAt - newest.eventAt + step > every', 'false'],
      'equal values are confirmed every half': ['feature.maxStaleness ?? DAY, DAY) / 4', 'feature.maxStaleness ?? DAY, DAY) / 2'],
      'equal pushed values are left out': ["value.origin !== 'computed' || value.eventAt", 'value.eventAt'],
      'what was written last is not remembered': ['        known.set(row, newest)\n', ''],
      'a late value hides what was left out': ['return [value, seen]', 'return [value]'],
      'history: off is ignored': ["value.origin === 'computed' && feature.history === 'off' ? [] : [value]", '[value]'],
      'history: off drops what was pushed': ["value.origin === 'computed' && feature.history === 'off'", "feature.history === 'off'"],
      'history: all leaves out': ["if (feature.history === 'all' || feature", 'if (feature'],
    },
  ),
  ...mistakes(
    { suite: 'test/store/history-policy.test.ts', file: POLICY },
    {
      'one feature forgets what another remembers': ['if (users === 0) this.rows.drop(key)', 'this.rows.drop(key)'],
      'what was forgotten is remembered': ['    this.numbers.set(row, SEQ, Number.NaN)\n', ''],
      'a feature remembers every key': ['if (this.count >= this.maxKeys) this.dropAny()\n', ''],
      "a feature knows another's keys": ['row !== undefined && this.has(row) ? row : undefined', 'row'],
    },
  ),
  ...mistakes(
    { suite: RECORDER, file: 'src/store/recording/recorder.ts' },
    {
      'durable does not wait': ['durable ? queue.flush() : undefined', 'undefined'],
      'counting begins anew after a restart': ['createSequence(lastSeq)', 'createSequence(0)'],
    },
  ),
  ...mistakes(
    { suite: RECORDER, file: 'src/store/recording/history-queue.ts' },
    {
      'a full queue takes more': ['if (backlog.queued < maxQueuedRows) return', 'if (backlog.queued >= 0) return'],
      'closing leaves rows behind': ['!isDone() && attempt < ATTEMPTS', '!isDone() && attempt < 0'],
    },
  ),
  ...mistakes(
    { suite: RECORDER, file: 'src/store/recording/history-committer.ts' },
    { 'rows of a failed commit are lost': ['    backlog.putBack(kept)\n', ''] },
  ),
  ...mistakes(
    { suite: 'test/store/history-queue.test.ts', file: 'src/store/recording/history-committer.ts' },
    { 'whoever waits for a dead history waits for ever': ['      backlog.refuse(entry, error)\n', ''] },
  ),
  ...mistakes(
    { suite: RECORDER, file: 'src/store/recording/history-backlog.ts' },
    { 'each row is a commit': ['const MAX_COMMIT_ROWS = 20_000', 'const MAX_COMMIT_ROWS = 1'] },
  ),
  ...mistakes(
    { suite: 'test/store/value-order.test.ts', file: 'src/store/ports/value-order.ts' },
    {
      'a correction of the same event time is no newer': [
        '  if (value.availableAt !== than.availableAt) return value.availableAt > than.availableAt\n',
        '',
      ],
      'what was accepted last is no newer': ['return value.seq > than.seq', 'return false'],
      'writing the same again is refused': ['return !isNewer(kept, value)', 'return isNewer(value, kept)'],
    },
  ),
  ...mistakes(
    { suite: 'test/store/redis-known-rows.test.ts', file: 'src/store/redis/format/row-cache.ts' },
    { 'what was read last goes by event time alone': ['isNewer(value, best)', 'value.eventAt > best.eventAt'] },
  ),
  ...mistakes(
    { suite: 'test/serving/outage-values.test.ts', file: 'src/serving/outage-values.ts' },
    { 'of values computed in an outage the last to end counts': ['kept && isNewer(kept, value) ? kept : value', 'value'] },
  ),
]

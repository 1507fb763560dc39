// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are code that holds templates.
import { type Mutation, mistakes } from './mutation.ts'

const FRESHNESS = 'test/serving/freshness.test.ts'
const SHARING = 'test/serving/sharing.test.ts'
const PARTS = 'test/serving/parts.test.ts'
const STORE_DOWN = 'test/serving/store-down.test.ts'
const MEMORY = 'test/store/memory-online-store.test.ts'
const TRAINED_STATUS = 'test/training/status.test.ts'
const RULE = 'src/definition/feature-traits.ts'
const JUDGING = 'src/serving/freshness.ts'
const FINDER = 'src/serving/value-finder.ts'
const FOUND = 'src/serving/found.ts'
const QUEUE = 'src/compute/single-flight/feature-queue.ts'

/** What is served, how old it is said to be, and how often it is computed. */
export const mutations: readonly Mutation[] = [
  ...mistakes(
    { suite: 'test/serving/packed-rows.test.ts', file: 'src/serving/packed-rows.ts' },
    {
      'rows are judged as the row before them': ['if (times === this.times) return', 'if (this.times) return'],
      'max_age is not asked of packed rows': ['(maxAge === null || age <= maxAge)', '(maxAge === null || age >= 0)'],
      'packed rows whose oldest value is too old are not looked at': ["=== 'fresh')", "!== 'expired')"],
    },
  ),
  ...mistakes(
    { suite: FRESHNESS, file: RULE },
    {
      'no lag is allowed': ['refresh.every + allowedLag(refresh.every)', 'refresh.every'],
      'the lag is a fifth': ['Math.floor(interval / 10)', 'Math.floor(interval / 5)'],
      'the lag may be less than a second': ['Math.max(SECOND, Math.floor(interval / 10))', 'Math.floor(interval / 10)'],
      'no lag is allowed after a firing': ['firing + allowedLag(nextFiring(pattern, firing) - firing)', 'firing'],
      'the answer of one firing is used for the next': ['eventAt >= known.from && eventAt < known.firing', 'eventAt >= known.from'],
      'pushed values without max staleness grow stale': ['maxStaleness ?? Number.POSITIVE_INFINITY', 'maxStaleness ?? 0'],
      'pushed values are never fresh': ['return maxStaleness ?? Number.POSITIVE_INFINITY', 'return 0'],
    },
  ),
  ...mistakes(
    { suite: TRAINED_STATUS, file: 'src/store/duckdb/training/result.ts' },
    {
      'a cron value is fresh at any age in a training set': ['if (freshness?.freshFor === null) isFresh.push', 'if (false) isFresh.push'],
      'the last fresh moment is stale in a training set': ['<= ${until}', '< ${until}'],
      'max staleness is ignored in a training set': ['freshness?.maxStaleness ?? Number.POSITIVE_INFINITY', 'Number.POSITIVE_INFINITY'],
    },
  ),
  ...mistakes(
    { suite: TRAINED_STATUS, file: 'src/store/duckdb/training/fresh-until.ts' },
    {
      'the first firing counts for all values': ['e.event_at >= s.since', 'e.event_at < s.since'],
      'a new firing is not seen': ['if (until === last) continue', 'if (last !== undefined) continue'],
    },
  ),
  ...mistakes(
    { suite: FRESHNESS, file: JUDGING },
    {
      'max staleness is ignored': ['rule.maxStaleness !== null && age > rule.maxStaleness', 'false'],
      'a value of exactly max staleness has expired': ['age > rule.maxStaleness', 'age >= rule.maxStaleness'],
      'max_age is ignored': ['maxAge !== null && age > maxAge', 'false'],
      'a value of exactly max_age is too old': ['age > maxAge', 'age >= maxAge'],
      'max_age widens max staleness': ['rule.maxStaleness !== null && age', 'rule.maxStaleness !== null && maxAge === null && age'],
      'beyond max_age is stale': ["age > maxAge) return 'expired'", "age > maxAge) return 'stale'"],
      'stale is called fresh': ["now <= rule.freshUntil(eventAt) ? 'fresh' : 'stale'", "'fresh'"],
      'the last fresh moment is stale': ['now <= rule.freshUntil', 'now < rule.freshUntil'],
      'an age may be negative': ['Math.max(0, Math.floor((now - eventAt) / 1000))', 'Math.floor((now - eventAt) / 1000)'],
      'ages are rounded up': ['Math.floor((now - eventAt) / 1000)', 'Math.ceil((now - eventAt) / 1000)'],
    },
  ),
  ...mistakes(
    { suite: FRESHNESS, file: FINDER },
    {
      'realtime is read from the store': ['if (planned.realtime) return this.computeNow(planned, key, row, stored, context)\n', ''],
      'stale is not recomputed': ['      else this.revalidate(planned, key, stored, context)\n', ''],
      'stale waits for its recomputation': [
        "else this.revalidate(planned, key, stored, context)\n      return foundStored(planned, stored, 'stale', 'online')",
        'return this.computeNow(planned, key, row, stored, context)',
      ],
      'an expired value is served': ["if (stored && judgement === 'stale') {\n", 'if (stored) {\n'],
      'an expired pushed value is served': ["if (stored && judgement === 'stale') return foundStored", 'if (stored) return foundStored'],
      'last good is unbounded': [
        "value.texts !== null && judge(planned.rule, value.eventAt, this.clock.now(), context.read.maxAge) !== 'expired'",
        'true',
      ],
      'last good ignores max_age': ['clock.now(), context.read.maxAge)', 'clock.now(), null)'],
      'last good is called fresh': [
        "foundStored(planned, stored, 'stale', 'last_good')",
        "foundStored(planned, stored, 'fresh', 'last_good')",
      ],
      'last good is called online': [
        "foundStored(planned, stored, 'stale', 'last_good')",
        "foundStored(planned, stored, 'stale', 'online')",
      ],
      'last good is not served': ["if (stored && usable(stored)) return foundStored(planned, stored, 'stale', 'last_good')\n", ''],
      'a value is as old as its end': ["servedFrom: 'computed', eventAt: asOf", "servedFrom: 'computed', eventAt: this.clock.now()"],
    },
  ),
  ...mistakes(
    { suite: FRESHNESS, file: FOUND },
    {
      'a tombstone is served as a value': ['if (stored.texts === null) return foundDefault(planned)\n', ''],
      'the default stands in for null': ['if (stored.texts === null)', "if (stored.texts === null || stored.texts[0] === 'null')"],
      'the default is not told to be one': ["texts: defaults, status: 'default'", "texts: defaults, status: 'fresh'"],
    },
  ),
  ...mistakes(
    { suite: FRESHNESS, file: 'src/serving/row-result.ts' },
    {
      'an unknown age is nothing': ['found.eventAt === null ? null : ageMs(found.eventAt, now)', 'ageMs(found.eventAt ?? now, now)'],
      'a fresh value has no age': ['result.freshnessMs[ref] = age', 'result.freshnessMs[ref] = 0'],
    },
  ),
  ...mistakes(
    { suite: STORE_DOWN, file: FINDER },
    {
      'history is not asked for the last good value': ['if (!planned.takesInputs && !stored &&', 'if (!planned.takesInputs && stored &&'],
      'last good of history is unbounded': ['if (known && usable(known))', 'if (known)'],
      'a store that is down is a missing value': [
        "return context.unsure?.isBlind(planned, key) ? foundUnavailable('The online store cannot be reached.') : foundDefault(planned)",
        'return foundDefault(planned)',
      ],
      'a store that is down is an expired value': [
        'context.unsure?.isBlind(planned, key) ? this.fallBack(planned, key, stored, undefined, context) : foundDefault(planned)',
        'foundDefault(planned)',
      ],
    },
  ),
  ...mistakes(
    { suite: STORE_DOWN, file: 'src/serving/last-known.ts' },
    {
      'every waiting caller asks history': ['    if (joined) return joined.promise\n', ''],
      'every feature asks history by itself': ['if (room === 0) break', 'break'],
    },
  ),
  ...mistakes(
    { suite: 'test/serving/last-known.test.ts', file: 'src/serving/last-known.ts' },
    {
      'what history says counts however old it is': ['if (!isLate()) return found', 'return found'],
      'history is asked again however long somebody waits': ['if (until - this.time.nowMs() < this.patience.readMs) throw tooSlow()', ''],
    },
  ),
  ...mistakes(
    { suite: 'test/ingest/owed-by-others.test.ts', file: 'src/app/owed-by-others.ts' },
    {
      'what others owe is told for from the answer on': ['trustUntil(askedAt + TOLD_FOR_MS)', 'trustUntil(this.nowMs() + TOLD_FOR_MS)'],
      'a late history counts as one that is away': ["error.cause.kind === 'unavailable'", 'true'],
    },
  ),
  ...mistakes(
    { suite: SHARING, file: FINDER },
    {
      'a failure skips the default': ['if (planned.feature.defaults) return foundDefault(planned)\n    if (error)', 'if (error)'],
      'a failure fails the whole batch': ['if (error) return foundError(error)', 'if (error) throw error'],
    },
  ),
  ...mistakes(
    { suite: PARTS, file: 'src/serving/row-result.ts' },
    {
      'a fresh value is told without the age of its parts': [
        'result.sources[ref] = stored',
        'result.sources[ref] = { ...stored, oldestInputAt: null }',
      ],
    },
  ),
  ...mistakes(
    { suite: PARTS, file: FINDER },
    {
      'the age of the oldest part is not told': [
        'eventAt: asOf, oldestInputAt: computed.oldestInputAt',
        'eventAt: asOf, oldestInputAt: null',
      ],
    },
  ),
  ...mistakes(
    { suite: STORE_DOWN, file: 'src/serving/engine.ts' },
    {
      'too much to read is taken for a store that is away': ['isOverloaded(one.reason)', 'false'],
    },
  ),
  ...mistakes(
    { suite: PARTS, file: 'src/serving/engine.ts' },
    {
      'features are read with the first entity’s key': ['rows[r]?.keys[g]?.encoded', 'rows[r]?.keys[0]?.encoded'],
    },
  ),
  ...mistakes(
    { suite: SHARING, file: 'src/compute/single-flight/computations.ts' },
    {
      'every caller computes': [
        'const id = callId(call.key, call.inputs)',
        'const id = `${callId(call.key, call.inputs)}${Math.random()}`',
      ],
    },
  ),
  ...mistakes(
    { suite: SHARING, file: 'src/compute/single-flight/failure-pauses.ts' },
    {
      'a failing key is hammered': ['return pause && this.clock.now() < pause.until', 'return pause && this.clock.now() < 0'],
      'the pause does not grow': ['backoff(failures, PAUSE_MS)', 'PAUSE_MS.first'],
      'the pause grows without end': ['longest: 5_000', 'longest: 5_000_000'],
      'pauses have no jitter': ['jittered(backoff(failures, PAUSE_MS), this.random)', 'backoff(failures, PAUSE_MS)'],
      'a success does not end the pause': ['    if (this.pauses.size > 0) this.pauses.delete(id)\n', ''],
      'one failing key makes all rest': ['const pause = this.pauses.get(id)', 'const pause = this.pauses.values().next().value'],
    },
  ),
  ...mistakes(
    { suite: SHARING, file: 'src/compute/single-flight/batch-runner.ts' },
    {
      'a computation that hangs is waited for': ['after(timeoutMs + GRACE_MS,', 'after(timeoutMs + 600_000,'],
    },
  ),
  ...mistakes(
    { suite: SHARING, file: QUEUE },
    {
      'late callers compute again': ['(this.isRealtime ? undefined : this.underway(id))', 'undefined'],
      'each row is a question of its own': ['this.isSql ? MAX_BATCH_ROWS : (this.feature.batch ?? 1)', '1'],
      'statements of one feature run without limit': ['this.batches >= MAX_BATCHES', 'this.batches >= 1_000'],
      'a statement has any number of rows': ['const MAX_BATCH_ROWS = 1_000', 'const MAX_BATCH_ROWS = 1_000_000'],
      'a large refresh refuses readers of other keys': [
        'admits(this.waiting.size + this.running.size, call)',
        'admits(this.waiting.size + this.running.size + [...this.refreshBatches].reduce((sum, { length }) => sum + length, 0), call)',
      ],
      'who waits behind others has no deadline': ['inFlight.timer ??= setTimeout(() => this.expire(inFlight), inFlight.timeoutMs)', ''],
    },
  ),
  ...mistakes(
    { suite: 'test/compute/admission.test.ts', file: 'src/compute/single-flight/admission.ts' },
    {
      'any number may wait': ['if (ahead >= MAX_IN_FLIGHT) return false', ''],
      'too much is taken, however late answers are': ['isLate && meanMs > TIMES_ALONE * this.alone', 'meanMs < 0'],
      'a slow function is taken for a busy one': ['isLate && meanMs > TIMES_ALONE * this.alone', 'isLate'],
      'what a running function asks for is refused': ['chain.length > 0 || ', ''],
    },
  ),
  ...mistakes(
    { suite: SHARING, file: 'src/compute/single-flight/refresh-batch.ts' },
    {
      'readers join what a refresh has computed already': ['|| row < this.settledCount', ''],
      'a refresh keeps what was forgotten meanwhile': ['this.joined.get(row)?.isForgotten === true', 'this.joined.size < 0'],
      'who joins a refresh is never told': ['    inFlight.waiting?.resolve({ computed, asOf: this.asOf })\n', ''],
    },
  ),
  ...mistakes(
    { suite: 'test/key-index.test.ts', file: 'src/collections/key-index.ts' },
    {
      'a dropped key hides those behind it': ['if (row === FREE) return undefined', 'if (row <= FREE) return undefined'],
      'equal hashes are equal keys': [' && this.textOf(row - 1) === text', ''],
      'keys are lost when their number grows': ['if (row > FREE) look(', 'if (row > FREE + 1) look('],
    },
  ),
  ...mistakes(
    { suite: SHARING, file: 'src/compute/single-flight/in-flight.ts' },
    {
      'who joins a refresh waits as long as it': [
        'joined.timeoutMs > call.timeoutMs ? inTime(joined, call, clock.now()) : outcomeOf(joined)',
        'outcomeOf(joined)',
      ],
      'different inputs share an answer': ['if (!inputs) return key.encoded', 'if (key) return key.encoded'],
      'inputs beyond 2^53 share an answer': [
        'stringifyExact(Object.entries(inputs))',
        "JSON.stringify(Object.entries(inputs), (_, value) => (typeof value === 'bigint' ? Number(value) : value))",
      ],
    },
  ),
  ...mistakes(
    { suite: SHARING, file: 'src/app/live-definitions.ts' },
    { 'answers to inputs are stored': ['.filter((answer) => answer.inputs === undefined)', '.filter(() => true)'] },
  ),
  ...mistakes(
    { suite: FRESHNESS, file: QUEUE },
    {
      'a realtime read joins a running batch': ['(this.isRealtime ? undefined : this.underway(id))', 'this.underway(id)'],
      'the as-of time is the end of the computation': ['asOf: inFlight.asOf })', 'asOf: this.clock.now() })'],
    },
  ),
  ...mistakes(
    { suite: FRESHNESS, file: 'src/app/online-recovery.ts' },
    {
      'nothing comes back after a restart': ['limit: isWhole ? Number.MAX_SAFE_INTEGER : MAX_REWARMED', 'limit: 0'],
    },
  ),
  ...mistakes(
    { suite: FRESHNESS, file: 'src/app/late-value.ts' },
    {
      'values come back as new': ['eventAt: row.eventAt,\n    availableAt', 'eventAt: row.eventAt + 600e6,\n    availableAt'],
    },
  ),
  ...mistakes(
    { suite: PARTS, file: 'src/compute/single-flight/call-graph.ts' },
    { 'features that ask for each other wait for ever': ['return leadsTo(chain, name, new Set())', 'return false'] },
  ),
  ...mistakes(
    { suite: PARTS, file: 'src/serving/feature-reader.ts' },
    {
      'a cycle is not told': ['      if (part) refuseCycle(part, from.chain)\n', ''],
      'a part that fails is a missing one': ['      if (error) throw error\n', ''],
      'a missing part is nought': ['return { text: undefined, eventAt: null }', "return { text: '0', eventAt: null }"],
      'a part’s own oldest part is forgotten': ['source.oldestInputAt ?? source.eventAt', 'source.eventAt'],
    },
  ),
  ...mistakes(
    { suite: PARTS, file: 'src/definition/entity-key.ts' },
    { 'keys of several columns collide': [".replaceAll(':', '%3A')).join", ').join'] },
  ),
  ...mistakes(
    { suite: MEMORY, file: 'src/store/ports/value-order.ts' },
    {
      'an older event wins': ['return value.eventAt > than.eventAt', 'return false'],
      'at one time the earlier available wins': ['value.availableAt > than.availableAt', 'value.availableAt < than.availableAt'],
      'at one time the first accepted wins': ['return value.seq > than.seq', 'return value.seq < than.seq'],
    },
  ),
  ...mistakes(
    { suite: MEMORY, file: 'src/store/memory/online-store.ts' },
    {
      'a refused write is not told': ['        else refused.push(i)\n', ''],
      'a forgotten key is still there': ['        texts.set(row, undefined)\n        count++', '        count++'],
      'a value without a time of its oldest part gets one': ['Number.isNaN(oldestInputAt) ? null : oldestInputAt', 'oldestInputAt'],
      'what a value came of is mixed up': ['ORIGINS.indexOf(value.origin)', '0'],
    },
  ),
]

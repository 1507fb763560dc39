// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the texts are code that holds templates.
import { type Mutation, mistakes } from './mutation.ts'

const REPLIES = 'test/store/redis-replies.test.ts'
const INTEGRITY = 'test/store/redis-integrity.test.ts'
const FAULTS = 'test/store/redis-faults.test.ts'
const STORE = 'test/store/redis-online-store.test.ts'
const LEASES = 'test/store/lease-store.test.ts'
const KNOWN = 'test/store/redis-known-rows.test.ts'
const DOWN = 'test/serving/store-down.test.ts'
const GATE = 'test/store/redis-gate.test.ts'
const PROCESSES = 'test/refresh/many-processes.test.ts'
const FOLDER = 'src/store/redis'

/** What is said to Redis, what is made of its answers, and what happens when there are none. */
export const mutations: readonly Mutation[] = [
  ...mistakes(
    { suite: REPLIES, file: `${FOLDER}/socket/resp-reader.ts` },
    {
      'redis: a reply is taken for whole when its bytes are not there': ['if (this.needed > bytes.length) return undefined', ''],
      'redis: a line end that is cut in two is none': ['i + 1 < bytes.length; i++', 'i < bytes.length; i++'],
      'redis: null is an empty text': ['if (size < 0) continue', ''],
      'redis: what is left of a piece is lost': ['begin < bytes.length ? [bytes.subarray(begin)] : []', '[]'],
      'redis: pieces are never known to be enough': ['this.needed -= begin', 'this.needed = 1e9'],
      'redis: a refusal is an answer': ['return kind === PLUS ? text : new Error(text)', 'return text'],
      'redis: whatever is in a row is text': [
        "if (bytes[this.at++] !== DOLLAR) throw new Error('Redis answered something else than text.')",
        'this.at++',
      ],
      'redis: whatever is answered is a row': [
        'if (kind === STAR) return this.readRow()',
        'if (kind !== PLUS && kind !== MINUS) return this.readRow()',
      ],
    },
  ),
  ...mistakes(
    { suite: FAULTS, file: `${FOLDER}/socket/raw-socket.ts` },
    {
      'redis: reads under way are forgotten when the connection is lost': [
        "for (const { callbacks } of lost) callbacks.failed(new Error('Connection is closed.'))",
        'lost.length = 0',
      ],
      'redis: the old socket is still written to': ['    stream = undefined\n', ''],
      'redis: a silent socket is kept': ['performance.now() - heardAt > silentMs', 'false'],
      'redis: what cannot be read is passed over': ['ready.destroy(error as Error)', 'void error'],
      'redis: answers that nobody asked for are taken': [
        "if (!first) throw new Error('Redis answered though nothing was asked.')",
        'if (!first) return',
      ],
      'redis: the library still reads the socket': ["    ready.removeAllListeners('data')\n", ''],
      'redis: a refused PING is no answer': ['first.callbacks.failed(reply)', 'return first.callbacks.failed(reply)'],
    },
  ),
  ...mistakes(
    { suite: STORE, file: `${FOLDER}/socket/raw-socket.ts` },
    {
      'redis: keys are measured in characters': ['$${Buffer.byteLength(key)}', '$${key.length}'],
    },
  ),
  ...mistakes(
    { suite: FAULTS, file: `${FOLDER}/socket/read-batches.ts` },
    {
      'redis: reads wait for the answer to others': ['        this.collect()\n        return\n', '        return\n'],
      'redis: a failed batch keeps its place': [
        '    for (const request of this.requests) request.reject(error)\n    this.queue.over(this, undefined)',
        '    for (const request of this.requests) request.reject(error)',
      ],
    },
  ),
  ...mistakes(
    { suite: STORE, file: `${FOLDER}/socket/read-batches.ts` },
    {
      'redis: every request of a batch gets the first one’s rows': ['settle(request, answer, from)', 'settle(request, answer, 0)'],
    },
  ),
  ...mistakes(
    { suite: FAULTS, file: `${FOLDER}/socket/connection.ts` },
    {
      'redis: writes wait while reads are stalled': ['reader.isStalled() ? Promise.reject(unavailable(NO_ANSWER)) : ', ''],
      'redis: scripts that are lost stay lost': ["if (!failureOf(error).startsWith('NOSCRIPT')) throw error", 'throw error'],
    },
  ),
  ...mistakes(
    { suite: FAULTS, file: `${FOLDER}/socket/socket-health.ts` },
    {
      'redis: a stalled server is asked on and on': [
        'this.isClosed || this.probe !== undefined || !this.isMet',
        'this.isClosed || !this.isMet',
      ],
      'redis: nobody looks whether it is back': [
        '    this.probe = setInterval(ping, PROBE_EVERY_MS)\n',
        '    this.probe = setInterval(() => undefined, PROBE_EVERY_MS)\n',
      ],
      'redis: what is wrong is told again and again': ['    if (this.isNotified) return\n', ''],
      'redis: nobody is told that it is back': ["if (this.isNotified) this.options.onProblem('Redis is back.', undefined)", ''],
    },
  ),
  ...mistakes(
    { suite: FAULTS, file: `${FOLDER}/socket/client.ts` },
    {
      'redis: a replica stays the one that is written to': [
        "reconnectOnError: (error: Error) => error.message.includes('READONLY You can'),",
        '',
      ],
    },
  ),
  ...mistakes(
    { suite: INTEGRITY, file: `${FOLDER}/online-store.ts` },
    {
      'redis: a doubt that ended under way is none': [' || doubts.ended !== ended', ''],
      'redis: what nobody has told of late is believed': [' || answeredAt > doubts.trustedUntil', ''],
    },
  ),
  ...mistakes(
    { suite: INTEGRITY, file: `${FOLDER}/integrity/marks.ts` },
    {
      'redis: a user that may not ask which server it is gets no connection': [
        "  return info.status === 'fulfilled' ?",
        "  if (info.status === 'rejected') throw info.reason\n  return info.status === 'fulfilled' ?",
      ],
    },
  ),
  ...mistakes(
    { suite: 'test/store/redis-deadlines.test.ts', file: `${FOLDER}/socket/deadlines.ts` },
    {
      'redis: nothing has a deadline': ['if (!isWatching) watch(one.dueAt)', ''],
      'redis: what was answered is over as well': ['if (one.isOpen()) one.failed(', 'one.failed('],
      'redis: a slow process finds the store away': ['const isHeard = silentAt > seenAt', 'const isHeard = false'],
      'redis: a store that was heard once is never away': ['const isHeard = silentAt > seenAt', 'const isHeard = heardAt() !== undefined'],
    },
  ),
  ...mistakes(
    { suite: STORE, file: `${FOLDER}/format/scripts.ts` },
    {
      'redis: an older event replaces a newer one': ['isNewer = eventAt > oldEvent', 'isNewer = true'],
      'redis: the later available does not win': ['isNewer = availableAt > oldAvailable', 'isNewer = false'],
      'redis: of equals the first stands': ['>= oldToken end', '> oldToken end'],
      'redis: a fence keeps nothing out': ['if fence and eventAt <= tonumber(fence) then', 'if false then'],
      'redis: an event of the time of its fence is stored': ['eventAt <= tonumber(fence)', 'eventAt < tonumber(fence)'],
      'redis: a fence moves back': ['if tonumber(all[i + 1]) > fence then', 'if false then'],
      'redis: a fence that is put back takes everything': ['if eventAt and eventAt <= at then', 'if true then'],
      'redis: other versions go at once': ['otherEvent < eventAt - ${ABANDONED_AFTER_MICROS}', 'otherEvent < eventAt'],
      'redis: other versions stay for ever': ['if otherEvent and otherEvent < eventAt - ${ABANDONED_AFTER_MICROS} then', 'if false then'],
      'redis: a replaced value takes its neighbours along': ["(nextFrom and string.sub(text, nextFrom) or '')\n      end", "''\n      end"],
      'redis: nobody is told what stands': ['if not isNewer and isStrange then', 'if false then'],
      'redis: nobody is told what was replaced': ['if isStrange then over[#over + 1] = i end', ''],
    },
  ),
  ...mistakes(
    { suite: STORE, file: `${FOLDER}/format/record.ts` },
    {
      'redis: negative times lose their sign': ['return negative ? -value : value', 'return value'],
      'redis: a name that another begins with is taken for it': ['return `${RECORD}${field}${UNIT}`', 'return `${RECORD}${field}`'],
      'redis: known to be missing is an empty text': ['if (cursor > end) return', 'if (cursor > end + 9) return'],
      'redis: pushed is taken for computed': ["if (code === 0x63) return 'computed'", "if (code !== 0x62) return 'computed'"],
      'redis: entities share their keys': ['return `fabra:{${entity}:${key}}`', 'return `fabra:{${key}}`'],
    },
  ),
  ...mistakes(
    { suite: LEASES, file: `${FOLDER}/format/scripts.ts` },
    {
      'redis: a lease has any number of holders': ["if redis.call('EXISTS', KEYS[1]) == 1 then return false end\nlocal time", 'local time'],
      'redis: terms are counted from nothing after a loss': ['math.max(now, last + 1)', 'last + 1'],
      'redis: whoever renews has the lease': [
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\nreturn redis.call('PEXPIRE'",
        "return redis.call('PEXPIRE'",
      ],
      'redis: whoever releases ends the term of another': [
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\nreturn redis.call('DEL'",
        "return redis.call('DEL'",
      ],
    },
  ),
  ...mistakes(
    { suite: KNOWN, file: `${FOLDER}/format/row-cache.ts` },
    {
      'redis: a row that changed is served as it was': ['if (!cached.bytes.equals(bytes)) return', 'if (cached.bytes.length === 0) return'],
      'redis: rows are decoded every time': ['if (!cached.bytes.equals(bytes)) return', 'if (cached.bytes !== bytes) return'],
      'redis: keys are kept decoded when read once': ['if (isHot) {', 'if (cached) {'],
      'redis: decoded rows stay for ever': ['if (before.usedIn !== this.turn) before.decoded = undefined', ''],
      'redis: texts stay for ever': ['if (this.bytes < this.limits.bytes / 2) return', 'return'],
      'redis: the older of two lists counts': ['isNewer(value, best)', 'isNewer(best, value)'],
      'redis: any number of lists is kept': ['if (last) last.next = undefined', ''],
    },
  ),
  ...mistakes(
    { suite: KNOWN, file: `${FOLDER}/format/row-layout.ts` },
    {
      'redis: a row is read in one order only': ['indexesInOrder.get(headAt(text, from))', 'undefined'],
      'redis: a field that is named twice is read once': ['for (const [f, first] of repeats) row[f] = row[first]', ''],
    },
  ),
  ...mistakes(
    { suite: KNOWN, file: `${FOLDER}/format/packed-row.ts` },
    {
      'redis: a row that lacks a value is packed': ['if (count < order.length) return undefined', ''],
      'redis: of a value of several columns one is packed': ['texts?.length === 1 ? texts[0]', 'texts ? texts[0]'],
      'redis: a field that is named twice is packed once': ['texts[f] = texts[first] as string', ''],
      'redis: the time of an oldest input is taken for the value': [
        'text.charCodeAt(begin - 2) === UNIT_CODE',
        'text.charCodeAt(begin - 1) === UNIT_CODE',
      ],
    },
  ),
  ...mistakes(
    { suite: KNOWN, file: `${FOLDER}/format/record-guess.ts` },
    {
      'redis: a guess is not compared with what is there': ['!text.startsWith(beginning, from)', 'false'],
      'redis: rows share times that are not the same': ['if (at !== last[f]) isSame = false', ''],
    },
  ),
  ...mistakes(
    { suite: KNOWN, file: `${FOLDER}/format/record.ts` },
    {
      'redis: the last record of a bucket takes its line end along': ['text.charCodeAt(end - 1) === LINE_FEED_CODE ?', 'false ?'],
    },
  ),
  ...mistakes(
    { suite: DOWN, file: `${FOLDER}/online-store.ts` },
    {
      'redis: what was read is not kept for an outage': ['isKept ? rowCache.take', '!isKept ? rowCache.take'],
    },
  ),
  ...mistakes(
    { suite: GATE, file: `${FOLDER}/socket/semaphore.ts` },
    {
      'redis: any number of scripts at once': ['createLimited(width, {', 'createLimited(1e9, {'],
      'redis: any number of writes may wait': ['most: MAX_WAITING', 'most: 1e9'],
    },
  ),
  ...mistakes(
    { suite: PROCESSES, file: `${FOLDER}/format/scripts.ts` },
    {
      'redis: whoever claims a key has it': ["if holder and holder ~= '' then answers[i] = 0\n  else", 'do'],
      'redis: nobody is told that a claim was let go': ['answers[i] = holder and 2 or 1', 'answers[i] = 1'],
    },
  ),
  ...mistakes(
    { suite: PROCESSES, file: 'src/compute/single-flight/cross-process.ts' },
    {
      'what another answered before a claim is computed again': [
        "batch.filter((_, i) => results[i] === 'won')",
        'batch.filter(() => true)',
      ],
    },
  ),
]

/**
 * A process of its own: `flood.ts <url> <rate> <seconds> <connections>` sends at half the rate for a while, then at three times the rate for so
 * many seconds, then at half the rate again, whatever becomes of what was sent, and prints what became of it as JSON. `{any}` in the address is a
 * number below 10,000. A request that finds no connection free is not sent: it is a client whose connection is refused.
 */
import type { Flooded, Stretch } from './flooded.ts'

const [address = '', rateText = '1000', secondsText = '5', connectionsText = '1000'] = process.argv.slice(2)
const url = new URL(address)
const peak = Number(rateText)
const seconds = Number(secondsText)
const CONNECTIONS = Number(connectionsText)
const TIMES = 3
const CALM_SECONDS = 2
const AFTER_SECONDS = 4
/** Calm again: of a hundred answers at most one is later than this, or than twice the slowest of before, or anything but a 200. */
const NORMAL_MS = 250
const ABNORMAL_SHARE = 0.01
const BUCKET_MS = 100
const PATIENCE_MS = 10_000
const STRETCHES = [
  { rate: peak / 2, seconds: CALM_SECONDS },
  { rate: peak * TIMES, seconds },
  { rate: peak / 2, seconds: AFTER_SECONDS },
]

interface Connection {
  sentAt: number
  stretch: number
  received: number
  expected: number
  status: string
  isLater: boolean
  isUnderWay: boolean
}

const found: (Stretch & { latencies: number[]; shedLatencies: number[] })[] = STRETCHES.map(() => ({
  sent: 0,
  unsent: 0,
  served: 0,
  shed: 0,
  others: {},
  latencies: [],
  shedLatencies: [],
}))
/** Of each tenth of a second of the last stretch. */
const after: ({ all: number; abnormal: number } | undefined)[] = []
let normalMs = NORMAL_MS
let overAt = 0
let underWay = 0
type FloodSocket = { write(text: string): unknown; readonly data: Connection }
const free: FloodSocket[] = []
const path = decodeURIComponent(url.pathname + url.search)
const request = (): string =>
  `GET ${path.replace('{any}', String(Math.floor(Math.random() * 10_000)))} HTTP/1.1\r\nhost: ${url.host}\r\n\r\n`

function answered(connection: Connection, code: string): void {
  const stretch = found[connection.stretch] as Stretch
  const now = performance.now()
  const ms = now - connection.sentAt
  underWay--
  if (connection.status === '200') {
    stretch.served++
    stretch.latencies.push(ms)
  } else if (connection.status === '503' && connection.isLater) {
    stretch.shed++
    stretch.shedLatencies.push(ms)
  } else {
    const what = `${connection.status} ${code}`.trim()
    stretch.others[what] = (stretch.others[what] ?? 0) + 1
  }
  if (connection.stretch === 0) normalMs = Math.max(normalMs, 2 * ms)
  if (connection.stretch !== 2) return
  const at = Math.floor((connection.sentAt - overAt) / BUCKET_MS)
  const { all, abnormal } = after[at] ?? { all: 0, abnormal: 0 }
  after[at] = { all: all + 1, abnormal: abnormal + (connection.status !== '200' || ms > normalMs ? 1 : 0) }
}

async function open(): Promise<void> {
  await Bun.connect<Connection>({
    hostname: url.hostname,
    port: Number(url.port),
    data: { sentAt: 0, stretch: 0, received: 0, expected: 0, status: '', isLater: false, isUnderWay: false },
    socket: {
      open: (socket) => void free.push(socket),
      data(socket, chunk) {
        const connection = socket.data
        let code = ''
        if (connection.received === 0) {
          const text = chunk.toString('latin1', 0, 600)
          const headEnd = text.indexOf('\r\n\r\n')
          connection.status = text.slice(9, 12)
          connection.expected = headEnd + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1])
          connection.isLater = connection.status === '503' && /retry-after: \d/i.test(text)
          if (connection.status !== '200') code = /"code":"(\w+)"/.exec(text)?.[1] ?? ''
        }
        connection.received += chunk.length
        if (connection.received < connection.expected) return
        connection.received = 0
        connection.isUnderWay = false
        answered(connection, code)
        free.push(socket)
      },
      close({ data: connection }) {
        if (!isOver && connection.isUnderWay) answered({ ...connection, status: 'closed' }, '')
      },
    },
  })
}

let isOver = false
for (let n = 0; n < CONNECTIONS; n += 100) await Promise.all(Array.from({ length: Math.min(100, CONNECTIONS - n) }, open))

const NAP_MS = 0.05
const nothing = new Int32Array(new SharedArrayBuffer(4))
for (const [index, { rate, seconds: lasts }] of STRETCHES.entries()) {
  const stretch = found[index] as Stretch
  const startedAt = performance.now()
  if (index === 2) overAt = startedAt
  for (let due = 0; ; ) {
    const now = performance.now()
    if (now - startedAt >= lasts * 1000) break
    const wanted = ((now - startedAt) * rate) / 1000
    for (; due < wanted; due++) {
      const socket = free.pop()
      if (socket === undefined) {
        // All that are due find none either.
        stretch.unsent += Math.floor(wanted - due)
        due = wanted
        break
      }
      socket.data.sentAt = now
      socket.data.stretch = index
      socket.data.isUnderWay = true
      stretch.sent++
      underWay++
      socket.write(request())
    }
    Atomics.wait(nothing, 0, 0, NAP_MS)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
const endedAt = performance.now()
while (underWay > 0 && performance.now() - endedAt < PATIENCE_MS) await Bun.sleep(20)
isOver = true
if (underWay > 0) (found[2] as Stretch).others['no answer'] = underWay
for (const { latencies, shedLatencies } of found) for (const list of [latencies, shedLatencies] as number[][]) list.sort((a, b) => a - b)
const quantiles = (sorted: readonly number[]) =>
  [0.5, 0.99, 1].map((q) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? null)
const flooded: Flooded = {
  stretches: found.map((stretch) => ({
    ...stretch,
    latencies: quantiles(stretch.latencies),
    shedLatencies: quantiles(stretch.shedLatencies),
  })),
  seconds: STRETCHES.map((stretch) => stretch.seconds),
  recoveredMs: BUCKET_MS * (1 + after.findLastIndex((one) => one !== undefined && one.abnormal > Math.max(1, one.all * ABNORMAL_SHARE))),
}
console.log(JSON.stringify(flooded))
process.exit(0)

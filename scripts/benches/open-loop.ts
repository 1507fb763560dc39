/**
 * A process of its own: `open-loop.ts <url> <rate> <seconds> [body]` prints sorted latencies in milliseconds as JSON. The same rate for a
 * second comes before, uncounted: this process has to compile what it does, too.
 */
const [address = '', rateText = '1000', secondsText = '5', body = ''] = process.argv.slice(2)
const url = new URL(address)
const rate = Number(rateText)
const uncounted = rate
const total = uncounted + rate * Number(secondsText)
const head = body === '' ? `GET ${url.pathname}${url.search} HTTP/1.1\r\nhost: ${url.host}\r\n\r\n` : ''
const request =
  head ||
  `POST ${url.pathname} HTTP/1.1\r\nhost: ${url.host}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`

const CONNECTIONS = 64
const latencies: number[] = []
let answered = 0
const waiting: number[] = []
const free: { write(text: string): unknown; data: Connection }[] = []
const done = Promise.withResolvers<void>()

interface Connection {
  dueAt: number
  /** What has come while the head is not whole. */
  head: string
  expected: number | undefined
  received: number
}

/** Bytes of the whole answer; undefined until its head is there, which may come in pieces. */
function answerLength(received: string): number | undefined {
  const headEnd = received.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const length = /content-length: (\d+)/i.exec(received.slice(0, headEnd))?.[1]
  if (received.slice(9, 12) !== '200' || length === undefined) throw new Error(received.slice(0, 400))
  return headEnd + 4 + Number(length)
}

for (let i = 0; i < CONNECTIONS; i++) {
  await Bun.connect<Connection>({
    hostname: url.hostname,
    port: Number(url.port),
    data: { dueAt: 0, head: '', expected: undefined, received: 0 },
    socket: {
      open: (socket) => {
        free.push(socket)
      },
      data(socket, chunk) {
        const connection = socket.data
        connection.received += chunk.length
        if (connection.expected === undefined) {
          connection.head += chunk.toString('latin1')
          connection.expected = answerLength(connection.head)
        }
        if (connection.expected === undefined || connection.received < connection.expected) return
        answered++
        if (answered > uncounted) latencies.push(performance.now() - connection.dueAt)
        connection.head = ''
        connection.expected = undefined
        connection.received = 0
        const next = waiting.shift()
        if (next === undefined) free.push(socket)
        else send(socket, next)
        if (answered === total) done.resolve()
      },
    },
  })
}

function send(socket: (typeof free)[number], dueAt: number): void {
  socket.data.dueAt = dueAt
  socket.write(request)
}

/** Between two requests it sleeps: a client that spins takes a core from those whose latency it tells. */
const NAP_MS = 0.05
const LONG_MS = 2
const nothing = new Int32Array(new SharedArrayBuffer(4))
const startedAt = performance.now()
let sent = 0
function tick(): void {
  const now = performance.now()
  while (sent < total && startedAt + (sent * 1000) / rate <= now) {
    const dueAt = startedAt + (sent * 1000) / rate
    sent++
    const socket = free.shift()
    if (socket) send(socket, dueAt)
    else waiting.push(dueAt)
  }
  if (sent === total) return
  const untilDue = startedAt + (sent * 1000) / rate - performance.now()
  if (untilDue > LONG_MS) {
    setTimeout(tick, Math.floor(untilDue))
    return
  }
  if (untilDue > 0) Atomics.wait(nothing, 0, 0, Math.min(untilDue, NAP_MS))
  setImmediate(tick)
}
tick()
// A server that stops answering must not leave this process spinning.
const late = setTimeout(
  () => {
    console.error(`${total - answered} of ${total} requests were not answered in time.`)
    process.exit(1)
  },
  Number(secondsText) * 1000 + 11_000,
)
await done.promise
clearTimeout(late)
console.log(JSON.stringify(latencies.sort((a, b) => a - b)))
process.exit(0)

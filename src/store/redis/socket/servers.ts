/** The pieces in which a Redis may lose what it holds: the server, or each master of a cluster. */
import type { Cluster, Redis } from 'ioredis'
import { identify, MARK_KEY, type Marks } from '../integrity/marks.ts'

export interface RedisPart {
  /** Of its mark. */
  readonly key: string
  /** Run id of the server that is asked there; undefined: there is no connection. */
  readonly server: string | undefined
}

export interface RedisLayout {
  readonly isOne: boolean
  /** Key of the mark of the place where a key lies; undefined: that is not known yet. */
  of(key: string): string | undefined
  all(): readonly RedisPart[]
}

/** @param server Of the connection that reads. */
export function onePlace(server: () => string | undefined): RedisLayout {
  return {
    isOne: true,
    of: () => MARK_KEY,
    all: () => [
      {
        key: MARK_KEY,
        get server() {
          return server()
        },
      },
    ],
  }
}

const SLOTS = 16_384

/**
 * A master's mark lies in the lowest of its slots. Where slots go to another node it is found missing there, or is of another server, and values come back
 * from history once too often.
 * @param client The one that reads.
 * @param onServer Told when a node is there that can be looked at.
 */
export function placesOfCluster(client: Cluster, marks: Marks, onServer: () => void): RedisLayout {
  const servers = new Map<string, string>()
  let known: Map<string, string> | undefined
  const nameOf = ({ options }: Redis) => `${options.host}:${options.port}`

  client.on('refresh', () => {
    known = undefined
  })
  client.on('+node', (node: Redis) => {
    node.on('ready', () => {
      const { stream } = node
      identify(node, 0).then((server) => {
        if (stream.destroyed || stream !== node.stream) return
        servers.set(nameOf(node), server)
        onServer()
      }, onServer)
    })
    node.on('close', () => {
      servers.delete(nameOf(node))
      marks.forget()
    })
  })

  /** Key of the mark by the nodes of a slot, as ioredis joins them. */
  function marksByNodes(): Map<string, string> {
    if (known) return known
    const lowest = new Map<string, number>()
    for (let slot = 0; slot < SLOTS; slot++) {
      const nodes = nodesOf(client, slot)
      if (nodes !== undefined && !lowest.has(nodes)) lowest.set(nodes, slot)
    }
    const found = new Map([...lowest].map(([nodes, slot]) => [nodes, `${MARK_KEY}:{${tagOf(slot)}}`]))
    if (found.size > 0) known = found
    return found
  }

  return {
    isOne: false,
    of(key) {
      const nodes = nodesOf(client, slotOf(key))
      return nodes === undefined ? undefined : marksByNodes().get(nodes)
    },
    all: () =>
      [...marksByNodes()].map(([nodes, key]) => ({
        key,
        get server() {
          return servers.get(nodes.slice(0, nodes.indexOf(',') < 0 ? undefined : nodes.indexOf(',')))
        },
      })),
  }
}

function nodesOf(client: Cluster, slot: number): string | undefined {
  const nodes = client.slots[slot]
  return nodes && nodes.length > 0 ? nodes.join(',') : undefined
}

/** https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec: what is between the first braces, where there is something. */
export function slotOf(key: string): number {
  const open = key.indexOf('{')
  const close = open < 0 ? -1 : key.indexOf('}', open + 1)
  return crc16(Buffer.from(close > open + 1 ? key.slice(open + 1, close) : key)) % SLOTS
}

/** CRC-16/XMODEM. */
function crc16(bytes: Uint8Array): number {
  let crc = 0
  for (const byte of bytes) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff
  }
  return crc
}

/** A number whose slot it is: there is one below a few hundred thousand. */
const tags = new Map<number, string>()
let nextTag = 0

function tagOf(slot: number): string {
  for (;;) {
    const known = tags.get(slot)
    if (known !== undefined) return known
    const tag = String(nextTag++)
    const found = slotOf(tag)
    if (!tags.has(found)) tags.set(found, tag)
  }
}

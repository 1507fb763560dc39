/** Lines of one kind are written so often in a while; of the rest it is told how many there were. */
export interface LineLimit<Level extends string> {
  /** @returns false: the line is left out. */
  admits(level: Level, message: string, fields: Readonly<Record<string, unknown>> | undefined): boolean
}

export interface LineLimitOptions<Level extends string> {
  /** In ten seconds. */
  readonly most: number
  /** Told with the first line that is left out (null), and when the while is over (how many there were). */
  readonly onLeftOut: (level: Level, message: string, lines: number | null) => void
  readonly nowMs: () => number
}

const WINDOW_MS = 10_000
/** Kinds looked at; what users log may be another text each time. */
const MOST_KINDS = 1_000

interface Kind<Level> {
  readonly level: Level
  readonly message: string
  readonly since: number
  count: number
}

export function createLineLimit<Level extends string>({ most, onLeftOut, nowMs }: LineLimitOptions<Level>): LineLimit<Level> {
  const kinds = new Map<string, Kind<Level>>()
  const end = (name: string, kind: Kind<Level>) => {
    kinds.delete(name)
    if (kind.count > most) onLeftOut(kind.level, kind.message, kind.count - most)
  }
  return {
    admits(level, message, fields) {
      if (level === 'debug') return true
      const now = nowMs()
      const name = `${level}\0${message}\0${fields?.['code'] ?? fields?.['action'] ?? ''}`
      const known = kinds.get(name)
      if (known !== undefined && now - known.since < WINDOW_MS) {
        known.count++
        if (known.count !== most + 1) return known.count <= most
        onLeftOut(level, message, null)
        // Otherwise nobody would hear of them if no other line came.
        setTimeout(() => kinds.get(name) === known && end(name, known), WINDOW_MS - (now - known.since)).unref()
        return false
      }
      if (known !== undefined) end(name, known)
      if (kinds.size >= MOST_KINDS) for (const [other, kind] of kinds) end(other, kind)
      kinds.set(name, { level, message, since: now, count: 1 })
      return true
    },
  }
}

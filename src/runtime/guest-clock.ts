/**
 * What user code takes for the present. With `--clock` the present is shifted. In a computation of the past the present is the
 * as-of time, so that a function that forgot `asOf` still cannot see later than its row; the runtime then tells that it asked.
 */
export interface GuestClock {
  /** Milliseconds to add to the present. */
  readonly offsetMs: number
  /** Milliseconds since the epoch that the running computation must take for now; undefined outside a computation of the past. */
  pinned(): number | undefined
}

/** Replaces Date and Temporal.Now in this thread. Done once, before any user code is loaded. */
export function installGuestClock(clock: GuestClock): void {
  const RealDate = globalThis.Date
  const realNow = RealDate.now
  const now = () => clock.pinned() ?? realNow() + clock.offsetMs

  function GuestDate(this: unknown, ...args: unknown[]): unknown {
    if (!new.target) return new RealDate(now()).toString()
    return Reflect.construct(RealDate, args.length === 0 ? [now()] : args, new.target)
  }
  Object.defineProperty(GuestDate, 'name', { value: 'Date' })
  Object.defineProperty(GuestDate, 'length', { value: RealDate.length })
  GuestDate.prototype = RealDate.prototype
  Object.assign(GuestDate, { now })
  GuestDate.parse = RealDate.parse
  GuestDate.UTC = RealDate.UTC
  Object.defineProperty(RealDate.prototype, 'constructor', { value: GuestDate, writable: true, configurable: true })
  Object.defineProperty(globalThis, 'Date', { value: GuestDate, writable: true, configurable: true })
  installTemporal(now)
}

interface TemporalInstant {
  toZonedDateTimeISO(zone: unknown): TemporalZoned
}
interface TemporalZoned {
  toPlainDateTime(): unknown
  toPlainDate(): unknown
  toPlainTime(): unknown
}
interface TemporalLike {
  readonly Now: { timeZoneId(): string }
  readonly Instant: { fromEpochMilliseconds(ms: number): TemporalInstant }
}

function installTemporal(now: () => number): void {
  const temporal = (globalThis as { Temporal?: TemporalLike }).Temporal
  if (temporal === undefined) return
  const instant = () => temporal.Instant.fromEpochMilliseconds(now())
  const zoned = (zone: unknown = temporal.Now.timeZoneId()) => instant().toZonedDateTimeISO(zone)
  const methods = {
    instant,
    zonedDateTimeISO: zoned,
    plainDateTimeISO: (zone?: unknown) => zoned(zone).toPlainDateTime(),
    plainDateISO: (zone?: unknown) => zoned(zone).toPlainDate(),
    plainTimeISO: (zone?: unknown) => zoned(zone).toPlainTime(),
  }
  for (const [name, value] of Object.entries(methods)) {
    Object.defineProperty(temporal.Now, name, { value, writable: true, configurable: true })
  }
}

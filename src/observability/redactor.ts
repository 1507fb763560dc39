/** Takes secrets out of what is said, wherever they stand in it: those of the configuration by their letters, others by their form. */
export type Redactor = (text: string) => string

/** Shorter ones are words of every text. */
const SHORTEST = 4
const HIDDEN = '***'
/** A password in an address; a key of ours; what stands behind "Authorization". */
const FORMS: readonly [form: RegExp, instead: string][] = [
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@"]*):[^\s@"]*@/gi, `$1:${HIDDEN}@`],
  [/\bfab_[0-9A-Za-z]{20,}/g, `fab_${HIDDEN}`],
  [/(\bauthorization["']?\s*[:=]\s*["']?(?:bearer|basic)\s+)[^\s"',]+/gi, `$1${HIDDEN}`],
]

/** @param secrets As they were given; they are found percent-encoded and as JSON writes them, too. */
export function createRedactor(secrets: readonly string[]): Redactor {
  const written = secrets
    .filter((secret) => secret.length >= SHORTEST)
    .flatMap((secret) => [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)])
  // The longest first: one may be a part of another.
  const known = [...new Set(written)].sort((a, b) => b.length - a.length)
  return (text) => {
    let safe = text
    for (const secret of known) if (safe.includes(secret)) safe = safe.replaceAll(secret, HIDDEN)
    for (const [form, instead] of FORMS) safe = safe.replace(form, instead)
    return safe
  }
}

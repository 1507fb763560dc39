/** Names and addresses with commas or blanks between; a port behind one says nothing. */
export function hostNames(text: string | undefined, problems: string[]): string[] {
  const names = (text ?? '').split(/[\s,]+/).filter((name) => name !== '')
  return names.map((name) => {
    const host = hostOf(name)
    if (host === null)
      problems.push(`FABRA_HOSTS: "${name.slice(0, 100)}" is no name of a host: write features.example.com, without https:// and path.`)
    return host ?? name
  })
}

function hostOf(name: string): string | null {
  // An address of IPv6 is a name in brackets.
  const written = /^[0-9a-f]*:[0-9a-f:.]*:[0-9a-f:.]*$/i.test(name) ? `[${name}]` : name
  return /^(?:[\w-]+(?:\.[\w-]+)*\.?|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i.test(written)
    ? (URL.parse(`http://${written}`)?.hostname ?? null)
    : null
}

/** Origins as browsers write them, with commas or blanks between: scheme, host, and a port that is not the scheme's own. */
export function origins(text: string | undefined, problems: string[]): string[] {
  const all = (text ?? '').split(/[\s,]+/).filter((one) => one !== '')
  return all.map((one) => {
    const origin = originOf(one)
    if (origin === null)
      problems.push(
        `FABRA_ORIGINS: "${one.slice(0, 100)}" is no origin of a page: write https://app.example.com, each in full, without a path and without "*".`,
      )
    return origin ?? one
  })
}

function originOf(text: string): string | null {
  const [, host] = /^https?:\/\/([^/?#@\\]+)\/?$/i.exec(text) ?? []
  return host === undefined || hostOf(host) === null ? null : (URL.parse(text)?.origin ?? null)
}

import { until } from '../../test/support/until.ts'

/** Resolves when every replica says that all is well, and serves a value that is there from Redis again. */
export async function whole(urls: readonly string[], path: string, limitMs: number): Promise<void> {
  await Promise.all(
    urls.map(async (url) => {
      await until('all to be well', limitMs, async () => ((await statusOf(url)) === 'ready' ? true : undefined))
      await until('an answer of Redis', limitMs, async () => {
        const answer = await fetch(`${url}${path}`).then((response) => response.json())
        return (answer as { served_from: string | null }).served_from === 'last_good' ? undefined : true
      })
    }),
  )
}

export async function statusOf(url: string): Promise<unknown> {
  const response = await fetch(`${url}/ready`).catch(() => undefined)
  return response && ((await response.json()) as { status: unknown }).status
}

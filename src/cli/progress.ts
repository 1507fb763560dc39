import type { CliProcess } from './context.ts'

const EVERY_MS = 250
const WIDTH = 30
/** As wide as a terminal is that says nothing of itself. */
export const TERMINAL_COLUMNS = 80

export interface BarOptions<News> {
  /** What is said behind the bar. */
  readonly words?: (news: News) => string
  /** Told of every answer, where there is no terminal too. */
  readonly onNews?: (news: News) => void
}

/** A bar on a terminal, nothing elsewhere. @param ask Answers `{ progress }` from 0 to 1; a failure leaves the bar where it is. */
export function progressBar<News extends { readonly progress?: number }>(
  host: CliProcess,
  ask: () => Promise<News>,
  { words, onNews }: BarOptions<News> = {},
): { stop(): void } {
  if (!host.stderrIsTerminal && !onNews) return { stop: () => undefined }
  let asking = false
  let stopped = false
  const clear = () => (host.stderrIsTerminal ? host.stderr('\r\u001b[K') : undefined)
  const timer = setInterval(async () => {
    if (asking) return
    asking = true
    const answer = await ask().catch(() => undefined)
    asking = false
    if (answer?.progress === undefined || stopped) return
    clear()
    onNews?.(answer)
    if (!host.stderrIsTerminal) return
    const filled = Math.round(answer.progress * WIDTH)
    const bar = `${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ${Math.floor(answer.progress * 100)} %`
    host.stderr(`${bar}  ${words?.(answer) ?? ''}`.trimEnd().slice(0, (host.terminalColumns ?? TERMINAL_COLUMNS) - 1))
  }, EVERY_MS)
  return {
    stop() {
      if (stopped) return
      stopped = true
      clearInterval(timer)
      clear()
    },
  }
}

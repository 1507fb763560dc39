import type { CliProcess } from './run.ts'

const EVERY_MS = 250
const WIDTH = 30

/** A bar on a terminal, nothing elsewhere. @param ask Answers `{ progress }` from 0 to 1; a failure leaves the bar where it is. */
export function progressBar(host: CliProcess, ask: () => Promise<unknown>): { stop(): void } {
  if (!host.stderrIsTerminal) return { stop: () => undefined }
  let asking = false
  let stopped = false
  const timer = setInterval(async () => {
    if (asking) return
    asking = true
    const answer = (await ask().catch(() => undefined)) as { progress?: number } | undefined
    asking = false
    if (answer?.progress === undefined || stopped) return
    const filled = Math.round(answer.progress * WIDTH)
    host.stderr(`\r${'█'.repeat(filled)}${'░'.repeat(WIDTH - filled)} ${Math.floor(answer.progress * 100)} %`)
  }, EVERY_MS)
  return {
    stop() {
      if (stopped) return
      stopped = true
      clearInterval(timer)
      host.stderr('\r\u001b[K')
    },
  }
}

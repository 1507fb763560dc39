/** The image at work, as a container: see scripts/check-image. */
import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { builtBinary } from '../support/binary.ts'

const PROJECT = join(import.meta.dir, '../..')
const LIMIT_MS = 300_000

test(
  'the image that "fabra deploy" describes is built, is healthy as nobody on a read-only root, serves features, and loses no request at SIGTERM',
  async () => {
    builtBinary()
    // Mounts and changed roots are for root alone.
    const asRoot = process.getuid?.() === 0 ? [] : ['sudo', '-n']
    const child = Bun.spawn([...asRoot, process.execPath, join(PROJECT, 'scripts/check-image.ts'), '--offline', 'typescript', 'release'], {
      cwd: PROJECT,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIMIT_MS,
      killSignal: 'SIGKILL',
    })
    const [exitCode, stdout, stderr] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
    expect({ exitCode, stdout, stderr: exitCode === 0 ? '' : stderr }).toEqual({
      exitCode: 0,
      stdout: expect.stringMatching(
        /its HEALTHCHECK succeeds[\s\S]+it runs as 65532:65532 on a read-only root[\s\S]+"value":3[\s\S]+"value":6[\s\S]+, 0 of \d+ requests lost[\s\S]+one with another checksum is refused/,
      ),
      stderr: '',
    })
  },
  LIMIT_MS,
)

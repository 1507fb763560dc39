/** The notebook runs from top to bottom, as a data scientist would run it, and says what is committed in it. */
import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { builtBinary } from '../support/binary.ts'
import { PYTHON_SOURCES, pythonTool, runTool } from '../support/python.ts'
import { EXAMPLES } from './oracle.ts'

const LIMIT_MS = 600_000
const NOTEBOOK = join(EXAMPLES, 'notebook.ipynb')

interface Shown {
  readonly texts: readonly string[]
  readonly pictures: number
}

interface Output {
  readonly text?: string | readonly string[]
  readonly data?: Readonly<Record<string, string | readonly string[]>>
}

/** What is in the file. */
function committed(): Shown {
  const { cells } = JSON.parse(readFileSync(NOTEBOOK, 'utf8')) as { readonly cells: readonly { readonly outputs?: readonly Output[] }[] }
  const outputs = cells.flatMap(({ outputs = [] }) => outputs)
  const texts = outputs.map(({ text, data }) => [text ?? data?.['text/plain'] ?? ''].flat().join(''))
  return { texts, pictures: outputs.filter(({ data }) => data?.['image/png'] !== undefined).length }
}

/** Without ages and hashes, and without what a model says: its last digits are the processor's. */
function lasting({ texts }: Shown): string[] {
  const plain = texts.map((text) => text.replaceAll(/[\d.]+ (?:s|min) old/g, '').replace(/'[0-9a-f]{16}'/, ''))
  return plain.filter((text) => !/ROC|P\(late\)/.test(text))
}

test(
  'features, training set, model and scores of the notebook: what is served is what was trained on',
  async () => {
    const env = {
      PATH: `${dirname(builtBinary())}:${process.env['PATH']}`,
      PYTHONPATH: PYTHON_SOURCES,
      PYTHONDONTWRITEBYTECODE: '1',
      // Threads that wait for one another turn round and round where the processor is busy.
      OMP_NUM_THREADS: '1',
    }
    const words = [pythonTool('python'), join(import.meta.dir, 'run_notebook.py'), NOTEBOOK]
    const printed = await runTool(words, { env, timeoutMs: LIMIT_MS })
    expect(printed).toStartWith('0\n{')
    const shown = JSON.parse(printed.split('\n')[1] ?? '') as Shown
    expect(shown.texts.filter((text) => text.startsWith('1,500 values'))).toEqual([expect.stringContaining('largest difference: 0.0\n')])
    const area = shown.texts.map((text) => /area under the ROC curve: ([\d.]+)/.exec(text)?.[1]).find((found) => found !== undefined)
    expect(Number(area)).toBeGreaterThan(0.6)
    expect({ texts: lasting(shown), pictures: shown.pictures }).toEqual({ texts: lasting(committed()), pictures: 3 })
    expect(committed().pictures).toBe(3)
  },
  LIMIT_MS,
)

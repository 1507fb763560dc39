import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { FabraError } from '../../errors.ts'
import { connect } from '../client.ts'
import type { CliContext, CliProcess } from '../context.ts'
import { fileOption } from '../file-option.ts'
import { type Catalogue, pythonTypes } from '../python-types.ts'

const HELP = `
The module has the clients of fabra with the names and types of your features:
from fabra_types import Client. A name that is none is an error of mypy and
pyright. (The TypeScript client takes types from the definitions themselves.)

Example:
  $ fabra types --python -o fabra_types.py`

export function typesCommand(program: Command, context: CliContext, host: CliProcess): void {
  program
    .command('types')
    .description('write types of the features, for programs that read them')
    .option('--python', 'for the Python client')
    .option('-o, --output <file>', 'where to (default: stdout)')
    .addOption(fileOption('definition files (default: features.ts, or the running server)'))
    .addHelpText('after', HELP)
    .action(async (options: { python?: boolean; output?: string; file?: string[] }) => {
      if (options.python !== true) {
        throw new FabraError('bad_usage', 'For which language?', {
          hint: 'Write fabra types --python. The TypeScript client needs no file: createClient<typeof import("./features")>().',
        })
      }
      const text = pythonTypes(await readCatalogue(options.file ?? [], host))
      if (options.output === undefined) return context.stdout(context.json ? `${JSON.stringify({ text })}\n` : text)
      const path = resolve(context.cwd, options.output)
      writeFileSync(path, text)
      context.stdout(context.json ? `${JSON.stringify({ path })}\n` : `${path}\n`)
    })
}

async function readCatalogue(files: readonly string[], host: CliProcess): Promise<Catalogue> {
  const client = await connect([...files], host)
  try {
    const [features, entities, sets, sources] = await Promise.all(
      ['features', 'entities', 'feature-sets', 'sources'].map((name) => client.get(`/v1/${name}`)),
    )
    const all = { ...(features as object), ...(entities as object), ...(sets as object), ...(sources as object) } as Omit<
      Catalogue,
      'featureSets'
    > & {
      readonly feature_sets: Catalogue['featureSets']
    }
    return { ...all, featureSets: all.feature_sets }
  } finally {
    await client.close()
  }
}

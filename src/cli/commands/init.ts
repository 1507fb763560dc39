import { closeSync, lstatSync, mkdirSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import type { Command } from 'commander'
import { FabraError } from '../../errors.ts'
import type { CliContext } from '../context.ts'
import { reasonOf } from '../deploy/write-files.ts'
import { EDITOR_TYPES, writeEditorTypes } from '../editor-types.ts'
import pythonFeatures from '../templates/features.py.txt' with { type: 'text' }
import features from '../templates/features.ts.txt' with { type: 'text' }
import gitignore from '../templates/gitignore.txt' with { type: 'text' }
import { sampleTransactions } from '../templates/sample-data.ts'
import tsconfig from '../templates/tsconfig.json.txt' with { type: 'text' }

interface Language {
  /** The definition file. */
  readonly file: string
  readonly text: string
  readonly about: string
  /** Files that a project may have already: then its own are kept. */
  readonly settings: Readonly<Record<string, string>>
  readonly types: boolean
}

const TYPESCRIPT: Language = {
  file: 'features.ts',
  text: features,
  about: 'five features: two in SQL, two functions, one pushed',
  settings: { 'tsconfig.json': tsconfig, '.gitignore': gitignore },
  types: true,
}
const PYTHON: Language = {
  file: 'features.py',
  text: pythonFeatures,
  about: 'five features: one in SQL, three functions, one pushed',
  settings: { '.gitignore': `${gitignore}.venv/\n__pycache__/\n` },
  types: false,
}

export function initCommand(program: Command, context: CliContext): void {
  program
    .command('init')
    .description('start a project: features, sample data and editor types')
    .argument('[dir]', 'folder of the new project', '.')
    .option('--python', 'write the features in Python')
    .addHelpText(
      'after',
      '\nExamples:\n  $ fabra init shop && cd shop && fabra serve\n  $ fabra init          # in the current folder\n  $ fabra init shop --python',
    )
    .action((dir: string, options: { readonly python?: true }) => {
      const language = options.python ? PYTHON : TYPESCRIPT
      const folder = resolve(context.cwd, dir)
      // A project that is there already keeps its own settings.
      const kept = Object.keys(language.settings).filter((name) => kindOf(join(folder, name)) !== undefined)
      const files = writeProject(folder, language, {
        [language.file]: language.text,
        'data/transactions.csv': sampleTransactions(context.clock.now()),
        ...Object.fromEntries(Object.entries(language.settings).filter(([name]) => !kept.includes(name))),
      })
      const inside = relative(context.cwd, folder)
      const next = [...(inside === '' ? [] : [`cd ${shellWord(inside)}`]), `fabra serve ${language.file}`]
      if (context.json) context.stdout(`${JSON.stringify({ directory: folder, files, kept, next })}\n`)
      else context.stdout(welcome(language, inside, next, kept))
    })
}

function welcome(language: Language, inside: string, next: readonly string[], kept: readonly string[]): string {
  const settings: Readonly<Record<string, string>> = {
    'tsconfig.json': '  tsconfig.json           for your editor; the types of "fabra" are in .fabra/',
    '.gitignore': '  .gitignore',
  }
  const notes: Readonly<Record<string, string>> = {
    'tsconfig.json':
      'Your tsconfig.json was kept. For types in your editor add "paths": { "fabra": ["./.fabra/fabra.d.ts"] } to its compilerOptions.',
    '.gitignore': 'Your .gitignore was kept. Add a line ".fabra/" to it: that folder holds data.',
  }
  const written = Object.keys(language.settings).filter((name) => !kept.includes(name))
  const keptNotes = Object.entries(notes).filter(([name]) => kept.includes(name))
  return `Wrote a new project${inside === '' ? '' : ` in ${inside}`}:
  ${language.file.padEnd(23)} ${language.about}
  data/transactions.csv   sample data that stays alive for ten weeks
${written.map((name) => `${settings[name]}\n`).join('')}${keptNotes.map(([, note]) => `\n${note}\n`).join('')}
Next:
${next.map((line) => `  ${line}`).join('\n')}
`
}

/**
 * Writes all files or none.
 * @returns the files written, relative to the folder.
 * @throws FabraError file_exists naming every file in the way; io_failed when the folder cannot be written.
 */
function writeProject(folder: string, language: Language, files: Readonly<Record<string, string>>): string[] {
  refuseExisting(folder, Object.keys(files))
  const made: string[] = []
  try {
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, name)
      const firstMade = mkdirSync(dirname(path), { recursive: true })
      if (firstMade !== undefined) made.push(firstMade)
      // wx: a file that appeared since the check is not overwritten either.
      const file = openSync(path, 'wx')
      made.push(path)
      try {
        writeFileSync(file, text)
      } finally {
        closeSync(file)
      }
    }
    if (language.types) writeEditorTypes(folder)
  } catch (cause) {
    for (const path of made.reverse()) rmSync(path, { recursive: true, force: true })
    throw new FabraError('io_failed', `Could not write the project in ${folder}: ${reasonOf(cause)}.`, {
      hint: 'Nothing was left behind. Choose a folder that can be written: fabra init <dir>',
      cause,
    })
  }
  return [...Object.keys(files), ...(language.types ? [EDITOR_TYPES] : [])]
}

function refuseExisting(folder: string, names: readonly string[]): void {
  const isFile = kindOf(folder)
  if (isFile === 'file') {
    throw new FabraError('file_exists', `${folder} is a file, not a folder.`, { hint: 'Name another folder: fabra init <dir>' })
  }
  const inTheWay = names.filter((name) => kindOf(join(folder, name)) !== undefined)
  if (inTheWay.length === 0) return
  throw new FabraError('file_exists', `${folder} already has ${inTheWay.join(', ')}. Nothing was written.`, {
    hint: 'Name another folder, "fabra init <dir>", or move the files away.',
  })
}

function kindOf(path: string): 'file' | 'folder' | undefined {
  try {
    // lstat, so that a link that points nowhere counts as being there.
    return lstatSync(path).isFile() ? 'file' : 'folder'
  } catch {
    return undefined
  }
}

function shellWord(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

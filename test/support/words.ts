/** Words that code is no longer to call anything by, each with what to say instead. Prose may use them: they are English. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Node, SyntaxKind } from 'typescript/unstable/ast'
import { API } from 'typescript/unstable/async'

/** Each had several meanings. As they are written: `known` may be what is known, `Known` says nothing. */
const INSTEAD: ReadonlyMap<string, string> = new Map([
  ['Fence', 'Erasure'],
  ['fence', 'erasure'],
  ['fences', 'erasures'],
  ['raise', 'erase, or what is written'],
  ['hides', 'isErased'],
  ['Version', 'LiveDefinitions, or a version of what'],
  ['Project', 'FeatureStore, or what of the folder'],
  ['Parts', '…Dependencies, or parts of what'],
  ['Place', 'SourceLocation, Span, index'],
  ['Places', 'what they are places of'],
  ['Lane', 'FeatureQueue, PooledConnection'],
  ['lane', 'worker, queue'],
  ['lanes', 'workers, or how many'],
  ['Flight', 'InFlight'],
  ['flight', 'what is under way'],
  ['land', 'settle'],
  ['depart', 'start'],
  ['flown', 'outcome'],
  ['Sweep', 'RefreshBatch'],
  ['LOT', 'CHUNK'],
  ['Question', '…Request'],
  ['Ask', '…Request'],
  ['Asked', '…Request, …Options'],
  ['Posed', '…Request'],
  ['Told', 'what was told: …Answer, …Report, …Body'],
  ['told', 'reported, notified, or what was told'],
  ['untold', 'unreported'],
  ['Known', 'what is known'],
  ['KnownRows', 'RowCache'],
  ['Desk', 'TrainingWorkspace'],
  ['Keeper', 'ResumeLog'],
  ['KeptStep', 'ResumeStep'],
  ['debts', 'PendingOnlineWrites'],
  ['debt', 'pending write'],
  ['owed', 'pending'],
  ['pay', 'replay'],
  ['overOthers', 'replacedForeign'],
  ['standing', 'winner'],
  ['leftOut', 'suppressed, excluded'],
  ['LeftOut', 'suppressed, excluded'],
  ['left_out', 'suppressed, excluded'],
  ['strange', 'unknown'],
  ['SourceStore', 'SourceEngine'],
  ['heed', 'applyErasure'],
  ['gather', 'pull, collect'],
  ['learn', 'recordRemoteUse, pull'],
  ['takeUntold', 'drain'],
  ['touch', 'markUsed'],
])

/** And `fenced`, which is no word of the list, in the receipt of a push. */
const STAYS: Readonly<Record<string, string>> = {
  'src/cli/deploy/image-output.ts left_out': 'in what "fabra deploy --json" prints',
  'src/deploy/ecs-stack.ts Version': "of Amazon's policies, which have it so",
  'test/deploy/contents.test.ts left_out': 'the same',
  'src/store/redis/online-store.ts owed': 'a kind of doubt, as the metric fabra_online_store_doubts has it for a reason',
}

/** What may be a declaration; the most of prose is none, so that few files are parsed. */
const MAYBE = new RegExp(`\\b(?:${[...INSTEAD.keys()].join('|')})\\b(?=\\s*(?:[\\]:=?,(){}<;]|(?:extends|implements|of|in)\\b))`)

/** @returns `file:line calls something told; say …`, for files of a repository in TypeScript and Python. */
export async function wordsNotToSay(root: string): Promise<string[]> {
  const files = execFileSync('git', ['ls-files', 'src', 'test', 'scripts', 'examples'], { cwd: root, encoding: 'utf8' }).split('\n')
  const suspects = files.filter((file) => /\.(?:tsx?|pyi?)$/.test(file) && MAYBE.test(readFileSync(join(root, file), 'utf8')))
  const isPython = (file: string) => /\.pyi?$/.test(file)
  const names = [
    ...(await namesOfTypeScript(
      root,
      suspects.filter((file) => !isPython(file)),
    )),
    ...namesOfPython(root, suspects.filter(isPython)),
  ]
  return names.flatMap(({ file, line, name }) =>
    INSTEAD.has(name) && !Object.hasOwn(STAYS, `${file} ${name}`)
      ? [`${file}:${line} calls something ${name}; say ${INSTEAD.get(name)}.`]
      : [],
  )
}

interface DeclaredName {
  readonly file: string
  readonly line: number
  readonly name: string
}

/** What has a name and declares none. */
const USES: ReadonlySet<SyntaxKind> = new Set([SyntaxKind.PropertyAccessExpression, SyntaxKind.MetaProperty, SyntaxKind.JsxAttribute])

/** Parsed alone, without what they import: that takes a second, where types would take many. */
async function namesOfTypeScript(root: string, files: readonly string[]): Promise<DeclaredName[]> {
  const folder = mkdtempSync(join(tmpdir(), 'fabra-words-'))
  const config = join(folder, 'tsconfig.json')
  const compilerOptions = { noResolve: true, noLib: true, types: [], jsx: 'preserve', target: 'ESNext', allowImportingTsExtensions: true }
  writeFileSync(config, JSON.stringify({ compilerOptions, files: files.map((file) => join(root, file)) }))
  const api = new API({ cwd: folder })
  try {
    const snapshot = await api.updateSnapshot({ openProjects: [config] })
    const program = snapshot.getProject(config)?.program
    const names: DeclaredName[] = []
    for (const file of files) {
      const source = await program?.getSourceFile(join(root, file))
      if (!source) throw new Error(`${file} was not parsed.`)
      const look = (node: Node): void => {
        const { name } = node as { readonly name?: Node & { readonly text?: string } }
        if (name?.text !== undefined && !USES.has(node.kind))
          names.push({ file, line: source.getLineAndCharacterOfPosition(name.getStart(source)).line + 1, name: name.text.replace('#', '') })
        node.forEachChild(look)
      }
      look(source)
    }
    return names
  } finally {
    await api.close()
    rmSync(folder, { recursive: true })
  }
}

const PYTHON = `
import ast, json, sys
names = []
for file in sys.argv[2:]:
    with open(sys.argv[1] + "/" + file, encoding="utf-8") as text:
        tree = ast.parse(text.read())
    for node in ast.walk(tree):
        name = None
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            name = node.name
        elif isinstance(node, ast.arg):
            name = node.arg
        elif isinstance(node, ast.alias):
            name = node.asname
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            name = node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            name = node.attr
        if name is not None:
            names.append({"file": file, "line": getattr(node, "lineno", 0), "name": name})
print(json.dumps(names))
`

function namesOfPython(root: string, files: readonly string[]): readonly DeclaredName[] {
  return JSON.parse(execFileSync('python3', ['-c', PYTHON, root, ...files], { encoding: 'utf8', maxBuffer: 64_000_000 }))
}

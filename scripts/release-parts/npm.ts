/** The npm packages: one a system with its executable, and a launcher that depends on the one that fits. None runs anything when it is installed. */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import packageJson from '../../package.json'
import { documentation } from './documentation.ts'
import type { Target } from './targets.ts'

const PROJECT = join(import.meta.dir, '../..')

/** Plain JavaScript for any Node. Signals reach fabra because it is in the same group as the terminal's; others are passed on. */
const LAUNCHER = `#!/usr/bin/env node
const { spawn } = require("node:child_process");

const name = "@fabra/" + process.platform + "-" + process.arch;
let program;
try {
  program = require.resolve(name + "/bin/fabra");
} catch {
  console.error(
    "fabra: the package " + name + " is not installed. There is one for linux and darwin on x64 and arm64;\\n" +
      "install again without --omit=optional (or --no-optional)."
  );
  process.exit(1);
}
const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
process.on("SIGINT", () => {});
child.on("error", (error) => {
  console.error("fabra: " + error.message);
  process.exit(1);
});
child.on("exit", (code, signal) => (signal ? process.kill(process.pid, signal) : process.exit(code)));
`

/** Feature files are run by fabra, which answers the import itself. */
const MODULE = `throw new Error('"fabra" is there when fabra runs your file: fabra serve features.ts');
`

const COMMON = {
  version: packageJson.version,
  license: packageJson.license,
  engines: { node: '>=18' },
}

/** @returns the folders, the launcher last: it must be published after what it depends on. */
export async function writeNpmPackages(
  folder: string,
  built: readonly { readonly target: Target; readonly executable: string }[],
): Promise<readonly string[]> {
  const platforms = built.map(({ target, executable }) => {
    const path = join(folder, target.name)
    mkdirSync(join(path, 'bin'), { recursive: true })
    copy(executable, join(path, 'bin/fabra'), 0o755)
    copy(join(PROJECT, 'LICENSE'), join(path, 'LICENSE'))
    writeJson(join(path, 'package.json'), {
      name: `@fabra/${target.name}`,
      description: `The executable of fabra for ${target.name}.`,
      ...COMMON,
      os: [target.os],
      cpu: [target.cpu],
      ...(target.os === 'linux' ? { libc: ['glibc'] } : {}),
      files: ['bin/fabra', 'LICENSE'],
      preferUnplugged: true,
    })
    return path
  })
  const launcher = join(folder, 'fabra')
  mkdirSync(join(launcher, 'bin'), { recursive: true })
  write(join(launcher, 'bin/fabra.js'), LAUNCHER, 0o755)
  write(join(launcher, 'index.js'), MODULE)
  copy(join(PROJECT, 'src/fabra.d.ts'), join(launcher, 'index.d.ts'))
  copy(join(PROJECT, 'src/fabra-client.d.ts'), join(launcher, 'client.d.mts'))
  write(join(launcher, 'client.mjs'), await clientScript())
  copy(join(PROJECT, 'src/fabra-test.d.ts'), join(launcher, 'test.d.mts'))
  write(join(launcher, 'test.mjs'), await testScript())
  copy(join(PROJECT, 'LICENSE'), join(launcher, 'LICENSE'))
  for (const [name, text] of Object.entries(documentation(PROJECT))) {
    mkdirSync(dirname(join(launcher, name)), { recursive: true })
    write(join(launcher, name), text)
  }
  writeJson(join(launcher, 'package.json'), {
    name: packageJson.name,
    description: packageJson.description,
    ...COMMON,
    bin: { fabra: 'bin/fabra.js' },
    types: 'index.d.ts',
    exports: {
      '.': { types: './index.d.ts', default: './index.js' },
      './client': { types: './client.d.mts', default: './client.mjs' },
      './test': { types: './test.d.mts', default: './test.mjs' },
      './package.json': './package.json',
    },
    files: ['bin/fabra.js', 'index.js', 'index.d.ts', 'client.mjs', 'client.d.mts', 'test.mjs', 'test.d.mts', 'CHANGELOG.md', 'docs'],
    optionalDependencies: Object.fromEntries(built.map(({ target }) => [`@fabra/${target.name}`, packageJson.version])),
  })
  return [...platforms, launcher]
}

/** A module for any platform that has fetch. */
export function clientScript(): Promise<string> {
  return script('src/client/client.ts', { target: 'browser', minify: true })
}

/** A module for test runners, in Node and Bun. */
export function testScript(): Promise<string> {
  // Test runners show the lines that threw.
  return script('src/testing/testing.ts', { target: 'node', minify: false })
}

async function script(file: string, options: { readonly target: 'browser' | 'node'; readonly minify: boolean }): Promise<string> {
  const { outputs } = await Bun.build({ entrypoints: [join(PROJECT, file)], format: 'esm', ...options })
  return (await outputs[0]?.text()) ?? ''
}

function writeJson(path: string, value: object): void {
  write(path, `${JSON.stringify(value, null, 2)}\n`)
}

/** With permissions of its own, whatever this machine's are: they become part of the package. */
function write(path: string, data: string | Uint8Array, mode = 0o644): void {
  writeFileSync(path, data)
  chmodSync(path, mode)
}

function copy(from: string, to: string, mode?: number): void {
  write(to, readFileSync(from), mode)
}

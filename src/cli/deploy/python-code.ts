/** What the files of a project in Python import and name, as its interpreter has read them. */
import { join } from 'node:path'
import type { PythonProject } from '../../app/app.ts'
import type { PathLiterals } from './path-literals.ts'
import { inside, realPath } from './project-files.ts'
import type { Imported } from './project-imports.ts'

export interface PythonCode {
  /** Files of requirements that requirements.txt includes, absolute. */
  readonly included: readonly string[]
  /** @returns undefined for what no definition in Python leads to. */
  read(file: string): { readonly imports: readonly Imported[]; readonly literals: PathLiterals } | undefined
}

/** @param folder Of the project, as it is named: a link may lead to it. */
export function pythonCode(folder: string, { files, requirements }: PythonProject): PythonCode {
  const real = realPath(folder) ?? folder
  const named = (path: string) => join(folder, inside(real, path) ?? path)
  return {
    included: (requirements?.files ?? []).slice(1).flatMap((file) => (inside(real, file) === null ? [] : named(file))),
    read(file) {
      const found = files[realPath(file) ?? file]
      if (found === undefined) return undefined
      const imports = found.imports.map((one) => ({ ...one, path: one.package === null ? named(one.path) : '' }))
      return { imports, literals: { paths: found.texts, patterns: found.patterns } }
    },
  }
}

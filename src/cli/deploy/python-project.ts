/** What an image needs for definitions in Python: the interpreter's version, and where its packages come from. */
import type { InstalledPackage, PythonProject } from '../../app/app.ts'
import type { PythonNeeds } from '../../deploy/python-image.ts'
import type { Remark } from './project-contents.ts'
import { inside, realPath } from './project-files.ts'
import { lockedPackages } from './pyproject.ts'

export interface PythonPlan {
  readonly needs: PythonNeeds
  /** Packages that the image would not have, or should not take from where they would come from. */
  readonly strays: readonly Remark[]
}

export function pythonPlan(folder: string, project: PythonProject): PythonPlan {
  const real = realPath(folder) ?? folder
  const relative = (path: string) => (path === real ? '' : (inside(real, path) ?? path))
  const locked = lockedPackages(folder)
  const outside = (project.requirements?.files ?? []).filter((file) => inside(real, file) === null)
  const strays = [
    ...missing(project, locked),
    ...(locked !== null || project.requirements !== null ? [] : project.wanted.flatMap((one) => notElsewhere(one))),
    ...outside.map((file) => ({
      message: `requirements.txt includes ${file}, which is not below ${folder}.`,
      hint: 'Put that file into the folder of the project.',
    })),
  ]
  const files = project.requirements?.files.map(relative) ?? ['requirements.txt']
  const needs: PythonNeeds = {
    version: project.version,
    paths: project.paths.map(relative),
    packages: locked !== null ? { from: 'uv' } : { from: 'requirements', files, text: requirementsText(project) },
  }
  return { needs, strays }
}

/** What is imported and named nowhere would not be installed there. */
function missing({ requirements, imported, wanted }: PythonProject, locked: ReadonlySet<string> | null): Remark[] {
  const named = locked ?? (requirements && new Set([...requirements.names, ...requirements.covered]))
  if (named === null) return []
  const isLocked = locked !== null
  return imported
    .filter((name) => !named.has(name))
    .map((name) => {
      const version = wanted.find((one) => one.name === name)?.version
      const line = version === undefined ? name : `${name}==${version}`
      return {
        message: `The definitions import ${name}, which ${isLocked ? 'uv.lock' : 'requirements.txt'} does not name: the image would not have it.`,
        hint: isLocked ? `Name it: uv add ${name}` : `Name it: echo '${line}' >> requirements.txt`,
      }
    })
}

/** A folder or a file of this machine cannot be installed from in an image. */
function notElsewhere({ name, by, url }: InstalledPackage): Remark[] {
  if (url === null || !url.startsWith('file:')) return []
  return [
    {
      message: `${by ?? 'The project'} needs ${name}, which is installed from ${url.slice('file://'.length)}: the image cannot have it from there.`,
      hint: 'Publish it, or write a requirements.txt that says where it is to be had.',
    },
  ]
}

function requirementsText({ version, wanted }: PythonProject): string {
  const line = ({ name, version: installed, url, marker }: InstalledPackage) =>
    `${url === null ? `${name}==${installed}` : `${name} @ ${url}`}${marker === null ? '' : ` ; ${marker}`}`
  const own = wanted.filter(({ by }) => by === null)
  const others = wanted.filter(({ by }) => by !== null)
  return [
    `# What the definitions import, as it is installed here with Python ${version}. Written by "fabra deploy"; it is yours from now on.`,
    ...own.map(line),
    ...(others.length === 0 ? [] : ['# What these need.', ...others.map(line)]),
    '',
  ].join('\n')
}

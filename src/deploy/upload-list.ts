import { archiveName } from './dockerfile.ts'
import type { DeployOptions } from './platform.ts'
import { pythonInstallFiles } from './python-image.ts'

/**
 * Patterns, as git has them, for platforms to which the folder is sent before the image is built there: all stays here but what the image is
 * built from. What .gitignore names may be among it.
 */
export function uploadList(options: DeployOptions): string {
  const { files, folders } = options.project
  const packages = options.python === null ? [] : pythonInstallFiles(options.python)
  const archive = options.release === null ? [archiveName(options.arch)] : []
  const paths = new Set(['Dockerfile', '.dockerignore', ...archive, ...packages, ...files])
  const opened = new Set<string>()
  const lines = ['# All stays here but what the image is built from. Written by "fabra deploy".', '/*']
  const open = (path: string) => {
    const parts = path.split('/').slice(0, -1)
    for (const folder of parts.map((_, i) => parts.slice(0, i + 1).join('/'))) {
      if (opened.has(folder)) continue
      opened.add(folder)
      // What lies in a folder can only be taken back where the folder itself is.
      lines.push(`!/${literally(folder)}/`, `/${literally(folder)}/*`)
    }
  }
  for (const path of paths) {
    open(path)
    lines.push(`!/${literally(path)}`)
  }
  for (const folder of folders) {
    open(folder)
    lines.push(`!/${literally(folder)}/`)
  }
  return `${lines.join('\n')}\n`
}

function literally(path: string): string {
  return path.replaceAll(/[\\*?[\]!# ]/g, (sign) => `\\${sign}`)
}

import { join } from 'node:path'

/** Where the native library may be unpacked, best first: FABRA_CACHE_DIR, else the user's own cache folder, else the temporary one. */
export function cacheFolders(env: Readonly<Record<string, string | undefined>>): string[] {
  const own = process.getuid?.() ?? 0
  const folders = [
    env['FABRA_CACHE_DIR'],
    env['XDG_CACHE_HOME'] && join(env['XDG_CACHE_HOME'], 'fabra'),
    env['HOME'] && join(env['HOME'], '.cache', 'fabra'),
    join(env['TMPDIR'] || '/tmp', `fabra-${own}`),
  ]
  return folders.filter((folder): folder is string => Boolean(folder))
}

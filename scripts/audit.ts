/**
 * Whether anything that is installed is known to be unsafe: ends with 1 where it is, from severity high on, and with 0 where nobody can be asked,
 * which it then says.
 */
const child = Bun.spawn([process.execPath, 'audit', '--audit-level=high', ...process.argv.slice(2)], {
  cwd: `${import.meta.dir}/..`,
  stdio: ['ignore', 'pipe', 'pipe'],
})
const LIMIT_MS = 60_000
const timer = setTimeout(() => child.kill(), LIMIT_MS)
const [code, said, failed] = await Promise.all([child.exited, child.stdout.text(), child.stderr.text()])
clearTimeout(timer)

const words = `${said}\n${failed}`
if (code === 0) console.log('audit: nothing that is installed is known to be unsafe.')
else if (/\d+ vulnerabilit/.test(words)) {
  console.log(said.trim())
  console.log(
    'audit: FAILED. Take versions without it, or say in docs/CONTRIBUTING.md why it does not concern Fabra and pass --ignore <id>.',
  )
  process.exit(1)
} else {
  const why = failed.trim().replaceAll(/https?:\/\/\S+/g, 'the registry')
  console.log(`audit: NOT CHECKED. Nobody here answers which versions are unsafe (${why || 'no answer in time'}).`)
}

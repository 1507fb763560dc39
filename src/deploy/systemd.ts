import { installCommand } from './dockerfile.ts'
import {
  type Deployment,
  type DeployOptions,
  EXECUTABLE,
  keyStep,
  nameRule,
  type Platform,
  PORT,
  STOP_SECONDS,
  serveArguments,
} from './platform.ts'
import { pythonInstallCommand, pythonInstallFiles } from './python-image.ts'
import { comment, shellWord } from './text.ts'

export const systemd: Platform = {
  name: 'systemd',
  title: 'systemd',
  regions: null,
  nameRule: nameRule(40),
  archs: ['x64', 'arm64'],
  // One machine, one port.
  maxReplicas: 1,
  needsImage: false,
  plan: (options) => ({
    files: [
      { path: `${options.name}.service`, text: unitText(header(options), unit(options)) },
      ...(options.python?.packages.from === 'requirements'
        ? [{ path: 'requirements.txt', text: options.python.packages.text, ifMissing: true }]
        : []),
    ],
    next: next(options),
    secrets: [],
  }),
}

type Section = readonly (readonly [key: string, value: string])[]

function unit(options: DeployOptions): Readonly<Record<string, Section>> {
  const { name } = options
  return {
    Unit: [
      ['Description', `Features of ${name}, served by Fabra`],
      ['After', 'network-online.target'],
      ['Wants', 'network-online.target'],
      // It starts again for as long as it takes: a database may be slower to come up.
      ['StartLimitIntervalSec', '0'],
    ],
    Service: [
      ['Type', 'exec'],
      ['WorkingDirectory', `/opt/${name}`],
      ['ExecStart', [EXECUTABLE, ...serveArguments(options)].map(word).join(' ')],
      ['Environment', `FABRA_ENV=production FABRA_HOST=127.0.0.1 FABRA_PORT=${PORT} FABRA_LOG_FORMAT=json`],
      ['Environment', `FABRA_DATA_DIR=%S/${name} FABRA_CACHE_DIR=%C/${name}`],
      ['EnvironmentFile', `/etc/${name}/env`],
      ['Restart', 'always'],
      ['RestartSec', '2'],
      ['KillSignal', 'SIGTERM'],
      ['TimeoutStopSec', String(STOP_SECONDS)],
      ['LimitNOFILE', '65536'],
      ['DynamicUser', 'yes'],
      ['StateDirectory', name],
      ['CacheDirectory', name],
      ...HARDENING,
    ],
    Install: [['WantedBy', 'multi-user.target']],
  }
}

/** Code is compiled while it runs, so MemoryDenyWriteExecute cannot be among these. */
const HARDENING: Section = [
  ['NoNewPrivileges', 'yes'],
  ['ProtectSystem', 'strict'],
  ['ProtectHome', 'yes'],
  ['PrivateTmp', 'yes'],
  ['PrivateDevices', 'yes'],
  ['ProtectKernelTunables', 'yes'],
  ['ProtectKernelModules', 'yes'],
  ['ProtectKernelLogs', 'yes'],
  ['ProtectControlGroups', 'yes'],
  ['ProtectClock', 'yes'],
  ['ProtectHostname', 'yes'],
  ['RestrictNamespaces', 'yes'],
  ['RestrictRealtime', 'yes'],
  ['RestrictSUIDSGID', 'yes'],
  ['LockPersonality', 'yes'],
  ['RestrictAddressFamilies', 'AF_INET AF_INET6 AF_UNIX'],
  ['CapabilityBoundingSet', ''],
  ['SystemCallArchitectures', 'native'],
  ['UMask', '0077'],
]

function unitText(header: readonly string[], sections: Readonly<Record<string, Section>>): string {
  const blocks = Object.entries(sections).map(
    ([name, lines]) => `\n[${name}]\n${lines.map(([key, value]) => `${key}=${value}\n`).join('')}`,
  )
  return `${comment(header)}${blocks.join('')}`
}

/** A word of a command line as systemd reads it: quoted, with its own signs doubled. */
function word(text: string): string {
  const escaped = text.replaceAll('%', '%%').replaceAll('$', '$$$$')
  return /^[\w./%$@:-]+$/.test(escaped) ? escaped : `"${escaped.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
}

function header({ name }: DeployOptions): string[] {
  return [
    `${name} as a service of this machine, written by "fabra deploy systemd". Next: copy the executable to ${EXECUTABLE}, the`,
    `features to /opt/${name}, the addresses to /etc/${name}/env, and this file to /etc/systemd/system; then systemctl enable --now.`,
  ]
}

function next(options: DeployOptions): Deployment['next'] {
  const { name, project, packages } = options
  const installing = options.python === null ? [] : pythonInstallFiles(options.python)
  const entries = [...new Set([...project.files, ...project.folders, ...installing])].map(shellWord).join(' ')
  return [
    {
      why: 'the executable',
      command: `[ "$(command -v fabra)" = ${EXECUTABLE} ] || sudo install -m 755 "$(command -v fabra)" ${EXECUTABLE}`,
    },
    { why: 'the features', command: `sudo install -d /opt/${name} && sudo cp -R --parents ${entries} /opt/${name}/` },
    ...(packages === null
      ? []
      : [{ why: 'the packages that they import', command: `(cd /opt/${name} && sudo ${installCommand(packages)})` }]),
    ...(options.python === null
      ? []
      : [
          {
            why: 'the packages that they import',
            command: `(cd /opt/${name} && sudo sh -c ${shellWord(pythonInstallCommand(options.python))})`,
          },
        ]),
    keyStep(options),
    {
      why: 'paste FABRA_POSTGRES_URL=…, FABRA_REDIS_URL=… and the line FABRA_API_KEYS=…, then press Ctrl-D',
      command: `sudo install -d -m 700 /etc/${name} && sudo sh -c 'umask 077; cat > /etc/${name}/env'`,
    },
    {
      why: 'start, now and after every boot',
      command: `sudo install -m 644 ${name}.service /etc/systemd/system/ && sudo systemctl daemon-reload && sudo systemctl enable --now ${name}`,
    },
    { why: 'look', command: `curl http://127.0.0.1:${PORT}/ready` },
  ]
}

// Installs the packages of package-lock.json before any npm script that needs them: a fresh clone works without `npm ci`.
// It runs on the machine's own Node (18 and later) without any package. The scripts after it use
// `node_modules/.bin/node`, the Node of the functions.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

const packagesIn = (file) => {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages ?? {};
  } catch {
    return undefined;
  }
};

/** The last step of an npm installation writes node_modules/.package-lock.json. */
const isInstalled = () => {
  const wanted = packagesIn('package-lock.json');
  const installed = packagesIn('node_modules/.package-lock.json');
  if (wanted === undefined || installed === undefined) return false;
  return (
    existsSync(join(root, 'node_modules/.bin/node')) &&
    Object.entries(wanted).every(
      ([path, { version, optional, devOptional }]) =>
        path === '' ||
        installed[path]?.version === version ||
        // For another operating system, or a dependency of such a package.
        ((optional === true || devOptional === true) && installed[path] === undefined),
    )
  );
};

const lock = join(root, '.data/install.lock');

const isRunning = (pid) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
};

/** The processes of the installation that holds the lock: its own, and npm's, which may outlive it. */
const ownersOfLock = () => {
  try {
    return readFileSync(lock, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
};

/** Allows one installation at a time in a checkout: `npm start` and `npm test` may start together. */
const locked = async (install) => {
  mkdirSync(join(root, '.data'), { recursive: true });
  for (let attempt = 0; ; attempt += 1) {
    try {
      writeFileSync(lock, `${process.pid}`, { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const owners = ownersOfLock();
    const alive = owners.filter(isRunning);
    // A lock without an owner was made at this moment, or its process was killed while making it.
    const isLeft = owners.length > 0 ? alive.length === 0 : attempt > 20;
    if (isLeft) rmSync(lock, { force: true });
    else if (attempt === 0)
      console.log(
        `waiting for another installation of packages in this checkout (process ${alive[0]}; if that is none, remove .data/install.lock) …`,
      );
    await delay(500);
  }
  try {
    if (!isInstalled()) await install();
  } finally {
    rmSync(lock, { force: true });
  }
};

/** npm's settings that would leave packages out or put them elsewhere. The lockfile is made for these values. */
const npmOptions = [
  ...['--include=dev', '--include=optional', '--include=peer'],
  ...['--global=false', '--location=project', '--package-lock=true', '--dry-run=false', '--bin-links=true'],
  ...[
    '--install-strategy=hoisted',
    '--legacy-peer-deps=false',
    '--strict-peer-deps=false',
    '--engine-strict=false',
  ],
  ...['--json=false', '--loglevel=error'],
];

/** The machine's npm: the Node in node_modules is about to be replaced. */
const spawnNpm = (...args) => {
  const bin = resolve(root, 'node_modules/.bin');
  const path = (process.env.PATH ?? '').split(delimiter).filter((folder) => resolve(folder) !== bin);
  const npm = process.env.npm_execpath;
  const [file, ...before] = npm?.endsWith('.js') ? ['node', npm] : ['npm'];
  // npm hands its settings on in variables. NODE_ENV=production stands for `omit=dev`.
  const { NODE_ENV, ...environment } = process.env;
  const child = spawn(file, [...before, ...args], {
    cwd: root,
    env: { ...environment, PATH: path.join(delimiter) },
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
    // A process group of its own: Ctrl-C reaches only us, and we end npm and the scripts that it runs.
    detached: process.platform !== 'win32',
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      output += chunk;
    });
  const ended = new Promise((done) => {
    child.once('error', (error) => {
      output += error.message;
      done(-1);
    });
    child.once('close', done);
  });
  return { pid: child.pid, ended, output: () => output.trim() };
};

const signalGroup = (pid, name) => {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, name);
  } catch {
    // It is gone.
  }
};

/** Ends npm with us: at Ctrl-C, at a signal, and when npm, which started us, was killed. */
const endTogether = ({ pid, ended }) => {
  let isEnding = false;
  const end = async () => {
    if (isEnding) return;
    isEnding = true;
    signalGroup(pid, 'SIGTERM');
    await Promise.race([ended, delay(2_000)]);
    signalGroup(pid, 'SIGKILL');
    rmSync(lock, { force: true });
    console.error('\nstopped while packages were being installed; the next start installs them');
    process.exit(130);
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, end);
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  setInterval(() => {
    if (process.ppid !== parent) end();
  }, 500).unref();
};

/** @returns the value that npm uses in this folder, whether a file, a variable or an option sets it */
const npmSetting = async (name) => {
  const { ended, output } = spawnNpm('config', 'get', name, '--loglevel=error');
  return (await ended) === 0 ? output() : '';
};

const fail = (...lines) => {
  console.error(lines.join('\n'));
  process.exitCode = 1;
};

const npmCi = async () => {
  if ((await npmSetting('ignore-scripts')) === 'true') {
    fail(
      'The npm setting ignore-scripts is true, and the packages "node" and "esbuild" need their install scripts: run it as npm --ignore-scripts=false start (or test), or remove the setting from your .npmrc or npm_config_ignore_scripts.',
    );
    return;
  }
  const since = Date.now();
  const elapsed = () => Math.round((Date.now() - since) / 1000);
  const tty = process.stdout.isTTY === true;
  console.log(
    'installing packages (npm ci), because node_modules is missing or older than package-lock.json',
  );
  const timer = setInterval(
    () => process.stdout.write(tty ? `\r\x1b[K  npm ci … ${elapsed()} s` : `  npm ci … ${elapsed()} s\n`),
    tty ? 500 : 5_000,
  );
  const npm = spawnNpm('ci', ...npmOptions);
  writeFileSync(lock, `${process.pid} ${npm.pid}`);
  endTogether(npm);
  const code = await npm.ended;
  clearInterval(timer);
  if (tty) process.stdout.write('\r\x1b[K');
  if (code !== 0) {
    fail(
      npm.output(),
      '',
      'The packages could not be installed (npm ci, see above). Correct the cause and try again.',
    );
  } else if (!isInstalled()) {
    fail(
      npm.output(),
      'npm ci has left packages out. A setting of npm asks for that, such as workspaces=false: see npm config list.',
    );
  } else {
    console.log(`  ✓ packages installed (${elapsed()} s)`);
  }
};

// npm joins folders by the first, and Node takes the second for the one of `#lib/*`.
const unusable = [delimiter, '*'].find((sign) => root.includes(sign));
if (unusable !== undefined) {
  fail(
    `The path of this folder has a "${unusable}", with which npm or Node finds no programs: rename it (${root}).`,
  );
} else if (!isInstalled()) await locked(npmCi);
if (process.exitCode === undefined) {
  // The workspace's package is used as its users have it: built.
  execFileSync(
    join(root, 'node_modules/.bin/node'),
    [join(root, 'plugins/serverless-offline-rabbitmq/build.mjs'), '--if-changed'],
    { stdio: 'inherit' },
  );
}

'use strict';

/** What is packed, what is loaded, and that the parts agree with each other. */

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { execFileSync } = require('node:child_process');
const { x0x, run, packageDir } = require('./network.js');
const native = require('../lib/native.js');
const abi = require('../lib/abi.js');
const manifest = require('../package.json');

const root = path.join(packageDir, '..');

test('one version everywhere', () => {
  const go = fs.readFileSync(path.join(root, 'core/x0x/doc.go'), 'utf8').match(/^const Version = "(.*)"$/m)[1];
  assert.equal(manifest.version, go);
  assert.equal(x0x.VERSION, go);
  assert.equal(x0x.libraryInfo().version, go);
  assert.equal(JSON.parse(fs.readFileSync(path.join(packageDir, 'package-lock.json'))).version, go);
});

test('the tables are those of the library in the package', () => {
  const { build, abi: version } = x0x.libraryInfo();
  assert.ok(build.includes(abi.SCHEMA_HASH), `${build} has another schema than ${abi.SCHEMA_HASH}`);
  assert.equal(version, (abi.X0X_ABI_MAJOR << 16) | abi.X0X_ABI_MINOR);
});

test('the words for numbers stand at their numbers', () => {
  const { TRUST_LEVELS, TRUST_DECISIONS, OUTCOMES } = require('../lib/message.js');
  const { TOPIC_PRIORITIES } = require('../lib/mesh.js');
  const words = (prefix) =>
    Object.entries(abi)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, n]) => [n, name.slice(prefix.length).toLowerCase().replaceAll('_', '')]);
  for (const [list, prefix] of [[TRUST_LEVELS, 'X0X_TRUST_'], [TRUST_DECISIONS, 'X0X_DECISION_'], [OUTCOMES, 'X0X_OUTCOME_'], [TOPIC_PRIORITIES, 'X0X_PRIORITY_']]) {
    const wanted = words(prefix);
    assert.equal(wanted.length, list.length);
    for (const [n, word] of wanted) assert.equal(list[n].toLowerCase(), word);
  }
});

test('every option of the header can be given, and every code is declared', () => {
  const header = fs.readFileSync(path.join(packageDir, 'src/abi_gen.h'), 'utf8');
  const fields = header.match(/#define X0X_OPTIONS_FIELDS[^]*?\n\n/)[0].match(/\((\w+)\)/g).map((f) => f.slice(1, -1));
  const options = fs.readFileSync(path.join(packageDir, 'lib/options.js'), 'utf8');
  for (const field of fields) assert.ok(field === 'flags' || options.includes(`'${field}'`), `no option for ${field}`);
  const types = fs.readFileSync(path.join(packageDir, 'index.d.ts'), 'utf8');
  for (const name of Object.keys(abi).filter((key) => key.startsWith('X0X_E_'))) assert.ok(types.includes(`'${name}'`), name);
  for (const option of options.matchAll(/^ {2}(\w+): \[/gm)) assert.match(types, new RegExp(`^ {2}${option[1]}\\?: `, 'm'));
});

test('every export is declared, and the two module systems share one instance', async () => {
  const types = fs.readFileSync(path.join(packageDir, 'index.d.ts'), 'utf8');
  const esm = await import('../lib/index.mjs');
  assert.deepEqual(Object.keys(esm).filter((name) => name !== 'default').sort(), Object.keys(x0x).sort());
  assert.equal(esm.default, x0x);
  for (const name of Object.keys(x0x)) {
    assert.equal(esm[name], x0x[name], name);
    assert.match(types, new RegExp(`export (declare )?(const|class|function|\\{ EventListener as) ?${name}\\b`), name);
  }
});

test('other platforms get a clear answer', () => {
  for (const [platform, arch, libc] of [['darwin', 'arm64'], ['win32', 'x64'], ['linux', 'x64', 'musl'], ['linux', 'arm64', 'gnu']]) {
    const id = native.platformId(platform, arch, libc ?? null);
    assert.throws(() => native.locate(id), (error) => {
      assert.equal(error.code, 'X0X_E_UNSUPPORTED');
      assert.match(error.message, new RegExp(`${id} is not supported yet.*linux-x64-gnu`));
      return true;
    });
  }
  const musl = path.join(os.tmpdir(), `x0x-musl-${process.pid}`);
  fs.writeFileSync(musl, Buffer.concat([Buffer.from('\x7fELF'), Buffer.alloc(600), Buffer.from('/lib/ld-musl-x86_64.so.1\0')]));
  assert.equal(native.libc(musl), 'musl');
  fs.rmSync(musl);
  assert.equal(native.libc(), 'gnu');
});

test('the addon stays loaded, finds the library beside it and exports nothing else', (t) => {
  const addon = native.locate();
  const dynamic = execFileSync('readelf', ['-d', addon], { encoding: 'utf8' });
  assert.match(dynamic, /NODELETE/);
  assert.match(dynamic, /\[\$ORIGIN\]/);
  assert.match(dynamic, /NEEDED.*\[libx0x\.so\]/);
  const symbols = execFileSync('nm', ['-D', '--defined-only', addon], { encoding: 'utf8' });
  assert.deepEqual(symbols.trim().split('\n').map((line) => line.split(' ').at(-1)).sort(), ['napi_register_module_v1', 'node_api_module_get_api_version_v1']);
  const versions = [...execFileSync('objdump', ['-T', addon], { encoding: 'utf8' }).matchAll(/GLIBC_(\d+)\.(\d+)/g)];
  assert.ok(versions.every(([, major, minor]) => Number(major) === 2 && Number(minor) <= 17), 'glibc 2.17 is enough');
});

test('the packed package works where it is installed, with no script and no dependency', async () => {
  const tmp = fs.mkdtempSync(path.join(os.tmpdir(), 'x0x-node-pack-'));
  try {
    const [{ filename, files }] = JSON.parse(
      execFileSync('npm', ['pack', '--json', '--pack-destination', tmp], { cwd: packageDir, encoding: 'utf8' }),
    );
    const names = files.map((file) => file.path);
    for (const needed of ['lib/index.js', 'lib/index.mjs', 'index.d.ts', 'index.d.mts', 'bin/x0x.js', 'README.md', 'LICENSE-MIT', 'LICENSE-APACHE', 'prebuilds/linux-x64/x0x.node', 'prebuilds/linux-x64/libx0x.so', 'examples/quickstart.js']) {
      assert.ok(names.includes(needed), `${needed} is missing`);
    }
    assert.ok(names.every((name) => !/^(src|test|scripts|bench|node_modules)\//.test(name)), names.join(' '));
    assert.equal(manifest.dependencies, undefined);
    assert.ok(!Object.keys(manifest.scripts).some((name) => /install|prepare|prepublish/.test(name)));

    fs.writeFileSync(path.join(tmp, 'package.json'), '{"private":true}');
    execFileSync('npm', ['install', '--offline', '--no-audit', '--no-fund', path.join(tmp, filename)], { cwd: tmp, stdio: 'pipe' });
    const program = (file, text) => {
      fs.writeFileSync(path.join(tmp, file), text);
      return run(path.join(tmp, file));
    };
    const cjs = await program('a.js', `const { Agent } = require('x0x'); const a = new Agent(); a.publish('t', 'x').then(() => a.close()).then(() => console.log('cjs'));`);
    assert.deepEqual([cjs.stdout, cjs.stderr], ['cjs\n', '']);
    const esm = await program('a.mjs', `import { Agent } from 'x0x'; const a = new Agent(); await a.publish('t', 'x'); await a.close(); console.log('esm');`);
    assert.deepEqual([esm.stdout, esm.stderr], ['esm\n', '']);
    const self = execFileSync('npx', ['--no-install', 'x0x', 'self-test'], { cwd: tmp, encoding: 'utf8' });
    assert.match(self, /self-test passed/);
  } finally {
    fs.rmSync(tmp, { recursive: true, force: true });
  }
});

test('npx x0x', async (t) => {
  const bin = path.join(packageDir, 'bin/x0x.js');
  const version = await run(bin);
  assert.equal(version.code, 0);
  assert.match(version.stdout, new RegExp(`^x0x ${manifest.version} \\(linux-x64-gnu, node v`));
  assert.equal((await run(bin, ['version'])).stdout, version.stdout);
  const help = await run(bin, ['--help']);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /self-test/);
  assert.equal((await run(bin, ['nonsense'])).code, 2);
});

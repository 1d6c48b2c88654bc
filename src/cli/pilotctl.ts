/**
 * The program's first file. It must be read by any Node that a system may have, so it is old JavaScript in effect and
 * imports nothing before it knows where it runs.
 */
const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)

if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(`error: pilotctl needs Node 22.19 or newer; this is Node ${process.versions.node}\n`)
  process.exitCode = 1
} else {
  keepCompiledCode()
  import("./main.ts").then(({ main }) => main(process.argv.slice(2)))
}

/**
 * Lets Node keep the compiled code in `~/.cache/effect-pilot` between invocations, which halves the time of a short one.
 * `NODE_COMPILE_CACHE` and `NODE_DISABLE_COMPILE_CACHE` are Node's own and win. Compiled code is code: root does not run what
 * lies in the home directory of whoever called `sudo`. Without a place to keep it in everything works, only later.
 */
function keepCompiledCode(): void {
  const { mkdirSync, statSync } = process.getBuiltinModule("node:fs")
  const { homedir } = process.getBuiltinModule("node:os")
  const { env } = process
  if (env["SUDO_UID"] !== undefined || env["NODE_COMPILE_CACHE"] !== undefined) return
  try {
    const home = homedir()
    if (statSync(home).uid !== process.geteuid?.()) return
    const folder = `${env["XDG_CACHE_HOME"] ?? `${home}/.cache`}/effect-pilot`
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (statSync(folder).uid === process.geteuid?.()) process.getBuiltinModule("node:module").enableCompileCache(folder)
  } catch {
    // No home, or not ours to write to.
  }
}

export {}

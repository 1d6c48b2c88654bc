/**
 * Runs a program of this checkout on its own pinned Node 24, whatever Node the system has and whether or not the
 * dependencies are installed yet. Plain JavaScript for any Node since 18, because that is what may be running it.
 *
 * node scripts/run.mjs [--build] PROGRAM [ARGUMENT…]
 */
import { spawn, spawnSync } from "node:child_process"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { constants } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const bin = join(root, "node_modules", ".bin")
const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ""}` }

const main = () => {
  const args = process.argv.slice(2)
  const build = args[0] === "--build"
  if (build) args.shift()
  install()
  const node = pinnedNode()
  if (build && isStale()) run(node, [join(root, "scripts", "build.mjs")])
  supervise(node, args)
}

/** Installs what the lock file says unless exactly that is installed. */
const install = () => {
  const installed = join(root, "node_modules", ".package-lock.json")
  const lock = join(root, "package-lock.json")
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs - CLOCK_SLACK_MS) return
  console.error("installing the dependencies that package-lock.json names …")
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { shell: process.platform === "win32" })
}

/** The Node of the checkout; the system's own only if it is new enough and there is none for this platform. */
const pinnedNode = () => {
  for (const candidate of [join(bin, process.platform === "win32" ? "node.cmd" : "node"), process.execPath]) {
    const version = existsSync(candidate)
      ? spawnSync(candidate, ["--version"], { encoding: "utf8", shell: process.platform === "win32" }).stdout
      : ""
    if (Number(/^v(\d+)/.exec(version ?? "")?.[1] ?? 0) >= NODE_MAJOR_MIN) return candidate
  }
  console.error(`effect-pilot's checkout needs Node ${NODE_MAJOR_MIN}; this platform has no pinned one, so install it.`)
  process.exit(1)
}

/** True when a source is newer than the build. */
const isStale = () => {
  const stamp = join(root, "dist", ".built")
  if (!existsSync(stamp)) return true
  const builtAtMs = statSync(stamp).mtimeMs
  const newest = (directory) =>
    readdirSync(directory, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.isFile())
      .reduce(
        (latest, entry) => Math.max(latest, statSync(join(entry.parentPath ?? entry.path, entry.name)).mtimeMs),
        0
      )
  const sources = Math.max(newest(join(root, "src")), newest(join(root, "scripts")))
  return sources > builtAtMs || readFileSync(stamp, "utf8") !== readFileSync(join(root, "package.json"), "utf8")
}

const run = (command, args, options = {}) => {
  const { status } = spawnSync(command, args, { cwd: root, env, stdio: "inherit", ...options })
  if (status !== 0) process.exit(status ?? 1)
}

/** Runs the program to its end; the terminal's signals reach it by themselves, others are passed on. */
const supervise = (node, args) => {
  const child = spawn(node, args, { cwd: root, env, stdio: "inherit" })
  process.on("SIGINT", () => {})
  process.on("SIGTERM", () => child.kill("SIGTERM"))
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}

const NODE_MAJOR_MIN = 24
/** npm writes its own lock a moment before or after the copy in the checkout gets its time. */
const CLOCK_SLACK_MS = 60_000

main()

/**
 * Builds `dist`: the library with its types (tsc), and the self-contained command line (rolldown). With `--mapped FOLDER` it
 * builds only the command line, there, with the maps that tell which file a function came from.
 */
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { rolldown } from "rolldown"

const root = join(dirname(fileURLToPath(import.meta.url)), "..")
const dist = join(root, "dist")

const compile = (directory) => {
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc")
  const project = join(root, "tsconfig.build.json")
  const { status } = spawnSync(process.execPath, [tsc, "-p", project, "--outDir", directory], { stdio: "inherit" })
  if (status !== 0) process.exit(status ?? 1)
}

/**
 * One entry, one chunk of what every command needs, and one per command group, so that `pilotctl info` loads what it needs
 * and nothing else, and looks for two files instead of fifty. Gives the packages whose code went into it.
 */
const bundle = async (directory, sourcemap) => {
  const build = await rolldown({
    input: { pilotctl: join(root, "src", "cli", "pilotctl.ts") },
    platform: "node",
    // Its other form asks for its parts in a way that no bundler follows.
    resolve: { alias: { "jsonc-parser": join(root, "node_modules", "jsonc-parser", "lib", "esm", "main.js") } },
    treeshake: true,
    logLevel: "warn",
    // A command group that loads a module late is right to, though another one needs it at once.
    checks: { ineffectiveDynamicImport: false }
  })
  const always = everyCommandLoads((await build.generate({ format: "esm" })).output)
  const { output } = await build.write({
    dir: directory,
    format: "esm",
    sourcemap,
    codeSplitting: { groups: [{ name: "main", test: (module) => always.has(module) }] },
    banner: (chunk) => (chunk.isEntry ? "#!/usr/bin/env node" : ""),
    chunkFileNames: "[name]-[hash].js",
    plugins: [ascii],
    // Less to read at start; names stay, so that a stack trace says where.
    minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } }
  })
  await build.close()
  chmodSync(join(directory, "pilotctl.js"), 0o755)
  const modules = output.flatMap((chunk) => (chunk.type === "chunk" ? chunk.moduleIds : []))
  return new Set(modules.flatMap((path) => PACKAGE.exec(path.replaceAll("\\", "/"))?.[1] ?? []))
}

/**
 * V8 keeps a source text with one character beyond Latin-1 in two bytes each, for as long as the process lives. Here such
 * characters stand in strings only, where an escape is the same.
 */
const ascii = {
  name: "ascii",
  generateBundle: (_, output) => {
    for (const chunk of Object.values(output))
      if (chunk.type === "chunk") chunk.code = chunk.code.replaceAll(/[^\0-\x7f]/g, escaped)
  }
}

const escaped = (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/** The modules in the chunk of `main.ts` and in those which it imports at once. */
const everyCommandLoads = (output) => {
  const chunks = new Map(output.filter(({ type }) => type === "chunk").map((chunk) => [chunk.fileName, chunk]))
  const main = join(root, "src", "cli", "main.ts")
  const reached = new Set()
  const reach = (chunk) => {
    if (chunk === undefined || reached.has(chunk)) return
    reached.add(chunk)
    for (const name of chunk.imports) reach(chunks.get(name))
  }
  reach([...chunks.values()].find(({ moduleIds }) => moduleIds.includes(main)))
  return new Set([...reached].filter(({ isEntry }) => !isEntry).flatMap(({ moduleIds }) => moduleIds))
}

/** The innermost package that a file belongs to. */
const PACKAGE = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//

/** Builds beside `dist` and changes places with it: `npx pilotctl` builds too, and programs run from there meanwhile. */
const everything = async () => {
  const [fresh, old] = ["new", "old"].map((name) => join(root, "node_modules", `.dist-${name}-${process.pid}`))
  process.on("exit", () => {
    for (const left of [fresh, old]) rmSync(left, { recursive: true, force: true })
  })
  compile(join(fresh, "lib"))
  const packages = await bundle(join(fresh, "pilotctl"), false)
  // The bundle contains other people's code: their licences travel with it.
  const notices = [...packages].sort().map((name) => {
    const folder = join(root, "node_modules", name)
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
    if (file === undefined) throw new Error(`${name} is bundled and has no licence file`)
    return `${name}\n\n${readFileSync(join(folder, file), "utf8")}`
  })
  writeFileSync(join(fresh, "pilotctl", "THIRD-PARTY-NOTICES"), notices.join("\n\n----\n\n"))
  writeFileSync(join(fresh, ".built"), readFileSync(join(root, "package.json")))
  if (existsSync(dist)) renameSync(dist, old)
  renameSync(fresh, dist)
}

const [flag, mapped] = process.argv.slice(2)
await (flag === "--mapped" ? bundle(mapped, true) : everything())

import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema } from "effect"
import * as PilotProcesses from "../../support/PilotProcesses.ts"

const ROOT = fileURLToPath(new URL("../../..", import.meta.url))

/** An empty project into which the packed package was installed. */
class Installed extends Context.Service<
  Installed,
  { readonly project: string; readonly files: ReadonlyArray<string>; readonly tarball: string }
>()("test/package/Installed") {}

const environment = (home: string) => ({ PATH: process.env["PATH"] ?? "", HOME: home, PILOT_HOME: join(home, "pilot") })

/** npm as the user has it, with proxies, certificates and cache; only what an outer npm says of this checkout is not. */
const npm = (cwd: string, ...args: ReadonlyArray<string>) =>
  Effect.tap(PilotProcesses.run("npm", args, userEnvironment, cwd), ({ exitCode, stderr, stdout }) =>
    Effect.sync(() => assert.strictEqual(exitCode, 0, `npm ${args.join(" ")}\n${stdout}\n${stderr}`))
  )

const installed = Layer.effect(
  Installed,
  Effect.gen(function* () {
    const directory = yield* PilotProcesses.directory
    const project = join(directory, "project")
    mkdirSync(project)
    writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }))
    // The build is there already, and building again would take it from under the other tests.
    const packed = yield* npm(ROOT, "pack", "--ignore-scripts", "--json", "--pack-destination", directory)
    const [{ filename, files }] = Schema.decodeUnknownSync(Packed)(packed.stdout)
    const tarball = join(directory, filename)
    yield* npm(project, "install", "--prefer-offline", "--no-audit", "--no-fund", tarball)
    return { project, files: files.map(({ path }) => path), tarball }
  })
)

const userEnvironment: Record<string, string> = Object.fromEntries(
  Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined || /^npm_(package|lifecycle|config_local)/.test(name) ? [] : [[name, value]]
  )
)

const Packed = Schema.fromJsonString(
  Schema.Tuple([
    Schema.Struct({ filename: Schema.String, files: Schema.Array(Schema.Struct({ path: Schema.String })) })
  ])
)

layer(installed, { excludeTestServices: true, timeout: "120 seconds" })("the packed package", (it) => {
  it.effect("holds the build, the licences and nothing else", () =>
    Effect.gen(function* () {
      const { files } = yield* Installed

      assert.deepStrictEqual(
        files.filter(
          (path) =>
            !/^(dist\/(lib|pilotctl)\/|schema\/policy\.schema\.json$|clients\/python\/pilot\.py$|README\.md$|LICENSE$|package\.json$)/.test(
              path
            )
        ),
        []
      )
      assert.includeMembers(
        [...files],
        ["LICENSE", "dist/pilotctl/pilotctl.js", "dist/pilotctl/THIRD-PARTY-NOTICES", "dist/lib/api/index.d.ts"]
      )
      assert.deepStrictEqual(
        files.filter((path) => !/\.(js|d\.ts|md|json|py)$|LICENSE$|THIRD-PARTY-NOTICES$/.test(path)),
        []
      )
    })
  )

  it.effect("says whose code the bundle contains, under which licence", () =>
    Effect.gen(function* () {
      const { project } = yield* Installed
      const path = join(project, "node_modules/effect-pilot/dist/pilotctl/THIRD-PARTY-NOTICES")
      const notices = readFileSync(path, "utf8").split("\n\n----\n\n")

      const names = notices.map((notice) => notice.split("\n")[0] ?? "")
      assert.includeMembers(names, ["@effect/platform-node-shared", "effect"])
      for (const notice of notices)
        assert.match(notice, /permission is hereby granted|redistribution and use in source/i)
    })
  )

  it.effect("installs its five dependencies and theirs, and no tool of ours", () =>
    Effect.gen(function* () {
      const { project } = yield* Installed
      const modules = join(project, "node_modules")

      for (const name of ["effect", "@effect/platform-node", "@noble/ciphers", "@noble/curves", "@noble/hashes"])
        assert.isTrue(existsSync(join(modules, name)), name)
      for (const name of ["typescript", "vitest", "@biomejs", "@modelcontextprotocol", "node"])
        assert.isFalse(existsSync(join(modules, name)), name)
      yield* npm(project, "ls", "--all")
    })
  )

  it.effect("runs pilotctl", () =>
    Effect.gen(function* () {
      const { project } = yield* Installed
      const program = join(project, "node_modules/.bin/pilotctl")

      const version = yield* PilotProcesses.run(program, ["--version"], environment(project))
      const info = yield* PilotProcesses.run(program, ["--json", "info"], environment(project))

      assert.match(version.stdout, /^pilotctl \d+\.\d+\.\d+\n$/)
      assert.strictEqual(version.exitCode, 0)
      assert.deepInclude(PilotProcesses.errorOf(info), { code: "not_running" })
    })
  )

  it.effect("keeps its compiled code in the home of whoever owns it, and in no other", () =>
    Effect.gen(function* () {
      const { project } = yield* Installed
      const program = join(project, "node_modules/.bin/pilotctl")
      const home = join(project, "home")
      mkdirSync(home)
      const kept = join(home, ".cache/effect-pilot")

      yield* PilotProcesses.run(program, ["--version"], { ...environment(home), SUDO_UID: "1000" })
      assert.isFalse(existsSync(kept))
      yield* PilotProcesses.run(program, ["--version"], environment(home))
      assert.isNotEmpty(readdirSync(kept))
      const homeless = yield* PilotProcesses.run(program, ["--version"], environment("/nonexistent"))
      assert.strictEqual(homeless.exitCode, 0)
      assert.isFalse(existsSync("/nonexistent"))
    })
  )

  it.effect("each of its five doors opens", () =>
    Effect.gen(function* () {
      const { project } = yield* Installed
      writeFileSync(join(project, "use.ts"), PROGRAM)
      writeFileSync(join(project, "use.mjs"), PROGRAM)

      const used = yield* PilotProcesses.run(process.execPath, ["use.mjs"], environment(project), project)

      assert.strictEqual(used.stderr, "")
      assert.deepStrictEqual(JSON.parse(used.stdout), {
        address: "0:0000.0000.002A",
        keyBytes: 32,
        path: true,
        random: true,
        daemon: "NotRunning"
      })
    })
  )

  it.effect("its types hold in a strict project", () =>
    Effect.gen(function* () {
      const { project } = yield* Installed
      writeFileSync(join(project, "use.ts"), PROGRAM)
      const options = {
        ...{ module: "nodenext", target: "es2024", lib: ["es2024", "esnext.disposable"], types: ["node"] },
        ...{ strict: true, exactOptionalPropertyTypes: true, noEmit: true, skipLibCheck: true },
        typeRoots: [join(ROOT, "node_modules/@types")]
      }
      writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: options, files: ["use.ts"] }))

      const compiler = join(ROOT, "node_modules/typescript/bin/tsc")
      const checked = yield* PilotProcesses.run(process.execPath, [compiler, "-p", project], environment(project))

      assert.deepStrictEqual(checked, { exitCode: 0, stdout: "", stderr: "" })
    })
  )

  it.effect("on a Node that is too old it says so in one sentence", () =>
    Effect.gen(function* () {
      const { project } = yield* Installed
      const program = join(project, "node_modules/effect-pilot/dist/pilotctl/pilotctl.js")
      const old = (yield* oldNode) ?? { node: process.execPath, options: ["--require", pretendOld(project)] }

      const said = yield* PilotProcesses.run(old.node, [...old.options, program, "info"], environment(project))

      assert.strictEqual(said.exitCode, 1)
      assert.strictEqual(said.stdout, "")
      assert.match(said.stderr, /^error: pilotctl needs Node 22\.19 or newer; this is Node \d+\.\d+\.\d+\n$/)
    })
  )
})

/** A Node below 22 that the system has itself. */
const oldNode = Effect.gen(function* () {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const node = join(folder, "node")
    if (folder.includes("node_modules") || !existsSync(node)) continue
    const { stdout } = yield* PilotProcesses.run(node, ["--version"], environment(ROOT))
    if (Number(/^v(\d+)/.exec(stdout)?.[1] ?? 99) < 22) return { node, options: [] }
  }
  return undefined
})

/** Where there is none, this one says that it is. */
const pretendOld = (project: string): string => {
  const path = join(project, "pretend-old.cjs")
  writeFileSync(path, `Object.defineProperty(process.versions, "node", { value: "20.19.4" })`)
  return path
}

/** JavaScript that is TypeScript too. */
const PROGRAM = `
import { Effect } from "effect"
import { Pilot } from "effect-pilot"
import { NativeCrypto } from "effect-pilot/core"
import { Path, PathSelector } from "effect-pilot/nat"
import { Address } from "effect-pilot/protocol"
import { SeededRandom } from "effect-pilot/testing"

const paths = new PathSelector()
paths.learn(Path.relay)
const asked = Effect.flip(Effect.provide(Pilot.info, Pilot.layerDaemon({ home: "/nonexistent" })))
const failure = await Effect.runPromise(asked)
console.log(
  JSON.stringify({
    address: Address.format(Address.make(0, 42)),
    keyBytes: NativeCrypto.crypto.sha256(new Uint8Array(3)).length,
    path: paths.select(0)?.relayed,
    random: SeededRandom.make(1).next() === SeededRandom.make(1).next(),
    daemon: failure.reason
  })
)
`

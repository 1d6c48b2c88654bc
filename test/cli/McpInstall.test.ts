import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, layer } from "@effect/vitest"
import { Effect, FileSystem, type Scope } from "effect"
import type { CliError } from "../../src/cli/CliError.ts"
import { CliHost } from "../../src/cli/CliHost.ts"
import type { Output } from "../../src/cli/Command.ts"
import * as McpInstall from "../../src/cli/mcp/McpInstall.ts"
import { Processes } from "../../src/cli/Processes.ts"
import { LocalSocket } from "../../src/core/net/LocalSocket.ts"

const ENTRY = {
  command: "/opt/node",
  args: ["/opt/pilotctl.js", "mcp", "mount", "mcp-host/files"],
  env: { PILOT_HOME: "/srv/pilot" }
}

interface Machine {
  readonly home: string
  readonly files: FileSystem.FileSystem
  readonly install: (
    options?: Partial<Parameters<typeof McpInstall.run>[0]>
  ) => Effect.Effect<Output, CliError, Scope.Scope>
}

const machine = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const home = yield* files.makeTempDirectoryScoped()
  const services = yield* Effect.context<FileSystem.FileSystem>()
  const host = CliHost.of({
    variables: { PILOT_HOME: "/srv/pilot", PILOT_SOCKET: "", OTHER: "1" },
    homeDirectory: home,
    uid: 1,
    effectiveUid: 1,
    nodePath: "/opt/node",
    programPath: "/opt/pilotctl.js",
    nodeOptions: [],
    platform: "linux",
    version: "1",
    localOffsetMinutes: () => 0
  })
  const self: Machine = {
    home,
    files,
    install: (options = {}) =>
      McpInstall.run({
        targets: ["mcp-host/files"],
        capability: "",
        client: "cursor",
        name: undefined,
        write: true,
        platform: "linux",
        directory: `${home}/project`,
        ...options
      }).pipe(
        Effect.provideService(CliHost, host),
        Effect.provideService(LocalSocket, LocalSocket.of({ connect: () => Effect.never, listen: () => Effect.never })),
        Effect.provideService(
          Processes,
          Processes.of({
            ownPid: 1,
            startAgain: () => Effect.never,
            isAlive: () => Effect.succeed(false),
            signal: () => Effect.succeed(false),
            endsOnSignal: Effect.void,
            usage: Effect.die("not asked"),
            giveMemoryBack: Effect.void
          })
        ),
        Effect.provide(NodeServices.layer),
        Effect.provideContext(services)
      )
  }
  return self
})

layer(NodeServices.layer)("pilotctl mcp install", (it) => {
  it.effect("prints the entry with absolute paths and touches nothing without --write", () =>
    Effect.gen(function* () {
      const { files, home, install } = yield* machine
      const { data, human } = yield* install({ write: false, client: "claude" })
      assert.deepInclude(data, { name: "mcp-host-files", entry: ENTRY, written: false })
      assert.include(human, `"mcpServers"`)
      assert.deepStrictEqual(yield* files.readDirectory(home), [])
    })
  )

  it.effect("adds the entry to what stands in the file, shows what changed, and the second time does nothing", () =>
    Effect.gen(function* () {
      const { files, home, install } = yield* machine
      const path = `${home}/.cursor/mcp.json`
      yield* files.makeDirectory(`${home}/.cursor`)
      const before = { theme: "dark", mcpServers: { other: { command: "x" }, "mcp-host-files": { command: "old" } } }
      yield* files.writeFileString(path, JSON.stringify(before))

      const { human } = yield* install()
      assert.include(human, `-   "mcp-host-files": {\n-     "command": "old"`)
      assert.include(human, `+     "command": "/opt/node"`)
      const written = yield* files.readFileString(path)
      assert.deepStrictEqual(JSON.parse(written), {
        theme: "dark",
        mcpServers: { other: { command: "x" }, "mcp-host-files": ENTRY }
      })

      assert.include((yield* install()).human, "already")
      assert.strictEqual(yield* files.readFileString(path), written)
    })
  )

  it.effect("writes the project's file for clients that keep it there", () =>
    Effect.gen(function* () {
      const { files, home, install } = yield* machine
      yield* install({ client: "vscode", name: "docs" })
      assert.deepStrictEqual(JSON.parse(yield* files.readFileString(`${home}/project/.vscode/mcp.json`)), {
        servers: { docs: { type: "stdio", ...ENTRY } }
      })
    })
  )

  it.effect("several peers with one service, and a service by what it can do, are mounts as well", () =>
    Effect.gen(function* () {
      const { install } = yield* machine
      const several = yield* install({ write: false, targets: ["near/files", "far/files"] })
      assert.deepInclude(several.data, { name: "near-files" })
      assert.include(several.human, '"near/files",\n        "far/files"')
      const found = yield* install({ write: false, targets: [], capability: "read csv" })
      assert.deepInclude(found.data, { name: "read-csv" })
      assert.include(found.human, '"--capability",\n        "read csv"')
      for (const wrong of [{ targets: [] }, { targets: ["a/b", "front"] }, { capability: "x" }]) {
        assert.strictEqual((yield* Effect.flip(install(wrong))).code, "invalid_argument")
      }
    })
  )

  it.effect("leaves a file alone that is not plain JSON, and refuses unknown clients and targets", () =>
    Effect.gen(function* () {
      const { files, home, install } = yield* machine
      yield* files.makeDirectory(`${home}/.gemini`)
      for (const text of ["{ // mine\n}", `{"mcpServers": []}`]) {
        yield* files.writeFileString(`${home}/.gemini/settings.json`, text)
        assert.strictEqual((yield* Effect.flip(install({ client: "gemini" }))).code, "invalid_state")
        assert.strictEqual(yield* files.readFileString(`${home}/.gemini/settings.json`), text)
      }
      assert.strictEqual((yield* Effect.flip(install({ client: "constructor" }))).code, "invalid_argument")
      assert.strictEqual((yield* Effect.flip(install({ targets: ["files"] }))).code, "invalid_argument")
    })
  )
})

/** A member of the API that no suite of both layers uses would work in one of them by luck. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Directory, Events, Files, Messages, Peer, Tasks, Trust } from "../../src/api/index.ts"

const SUPPORT = join(import.meta.dirname, "..", "support")
const suites = readdirSync(SUPPORT)
  .filter((name) => /^(Pilot|Tasks|Events|McpApi)Suite\.ts$/.test(name))
  .map((name) => readFileSync(join(SUPPORT, name), "utf8"))
  .join("\n")

/** What the layers themselves are made of, what only pure tests need, and what has a test of its own. */
const ELSEWHERE = new Set([
  ...["Directory.layer", "Directory.layerDaemon", "Files.layer", "Files.make", "Messages.layer", "Messages.make"],
  ...["Events.updateOf", "Peer.strangers"],
  // test/interop/api/workflows.test.ts
  ...["Tasks.workflow", "Tasks.serveWorkflow", "Tasks.layerWorkflows"]
])

it("every member of the API is used by the suites that both layers pass", () => {
  const modules = { Directory, Events, Files, Messages, Peer, Tasks, Trust }
  const members = Object.entries(modules).flatMap(([name, module]) =>
    Object.keys(module)
      .filter((member) => /^[a-z]/.test(member))
      .map((member) => `${name}.${member}`)
  )
  assert.isAbove(members.length, 40)
  assert.deepStrictEqual(
    members.filter((member) => !ELSEWHERE.has(member) && !new RegExp(`\\b${member}\\b`).test(suites)),
    []
  )
})

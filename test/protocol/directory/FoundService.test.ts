import { assert, describe, it } from "@effect/vitest"
import * as FoundService from "../../../src/protocol/directory/FoundService.ts"
import * as Cards from "../../support/Cards.ts"

const READ = Cards.tool("read_csv", "Reads a CSV file", { path: "string" })
const QUERY = Cards.tool("query", "Queries a CSV file", { sql: "string" })

/** A service found at node `seed`, which lets this node use it or does not. */
const found = (seed: number, service: string, tools: ReadonlyArray<typeof READ>, isUsable = true) =>
  FoundService.of(
    {
      from: {
        card: Cards.card(seed, service, tools, { isPublic: false }),
        isTrusted: true,
        isDirect: isUsable,
        hostname: `n${seed}`
      },
      score: 1 / seed,
      tools: []
    },
    ""
  )

describe("instances of a service that was found", () => {
  it("are the best that may be used and all others of the same name and tools, in order", () => {
    const services = [
      found(1, "files", [READ], false),
      found(2, "files", [READ]),
      found(3, "tables", [READ]),
      found(4, "files", [QUERY]),
      found(5, "files", [READ])
    ]
    assert.deepStrictEqual(
      FoundService.instances(services).map(({ target }) => target),
      ["n2/files", "n5/files"]
    )
  })

  it("are none where none may be used", () => {
    assert.deepStrictEqual(FoundService.instances([found(1, "files", [READ], false)]), [])
    assert.deepStrictEqual(FoundService.instances([]), [])
  })
})

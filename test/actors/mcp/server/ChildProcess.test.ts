import { assert, describe, it } from "@effect/vitest"
import * as ChildProcess from "../../../../src/actors/mcp/server/ChildProcess.ts"

describe("ChildProcess", () => {
  it("a child gets six variables and what was configured, and no shell functions (mcp §2.2)", () => {
    const inherited = { HOME: "/h", PATH: "/bin", SECRET: "s", TERM: "() { :; }", USER: undefined }

    assert.deepStrictEqual(ChildProcess.environment(inherited, { PATH: "/own", TOKEN: "t" }), {
      HOME: "/h",
      PATH: "/own",
      TOKEN: "t"
    })
  })
})

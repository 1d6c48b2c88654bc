import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import * as PolicySchema from "../../../src/protocol/policy/PolicySchema.ts"

const published: object = JSON.parse(
  readFileSync(new URL("../../../schema/policy.schema.json", import.meta.url), "utf8")
)

describe("the policy's JSON schema", () => {
  it("is the one in the package; else: pilotctl policy schema > schema/policy.schema.json", () => {
    assert.deepStrictEqual(published, { ...PolicySchema.make() })
  })

  it("takes what a node takes, and refuses unknown keys as it does", () => {
    const accepts = new Ajv2020({ strict: false }).compile(published)
    const rule = { effect: "deny", who: ["trusted"], what: ["*"] }

    assert.isTrue(accepts({ version: 1, rules: [rule] }), JSON.stringify(accepts.errors))
    assert.isFalse(accepts({ version: 1, rules: [{ ...rule, wat: 1 }] }))
    assert.isFalse(accepts({ version: 2, rules: [] }))
    assert.isFalse(accepts({ version: 1, rules: [{ ...rule, who: [] }] }))
  })
})

import { assert, describe, it } from "@effect/vitest"
import * as FrontTaskIds from "../../../../src/actors/mcp/front/FrontTaskIds.ts"
import * as Bytes from "../../../../src/core/data/Bytes.ts"

const call = Bytes.fromUtf8('{"id":1,"method":"tools/call","params":{"name":"t"}}')
const answer = (method: string, response: string) =>
  Bytes.toUtf8(FrontTaskIds.answer("a", method, call, Bytes.fromUtf8(response)))

describe("FrontTaskIds", () => {
  it("a task of the extension is known by the alias of its service (mcp §1.6)", () => {
    const created = '{"id":1,"result":{"resultType":"task","taskId":"ID", "ttlMs":1.0}}'
    assert.strictEqual(answer("tools/call", created.replace("ID", "é__x")), created.replace("ID", "a__é__x"))
    const stands = '{"id":1,"result":{"resultType":"complete","taskId":"ID","status":"working"}}'
    assert.strictEqual(answer("tasks/get", stands.replace("ID", "1")), stands.replace("ID", "a__1"))
  })

  it("a result that only looks like a task passes as it came", () => {
    for (const result of ['{"taskId":"1","content":[]}', '{"task":{"taskId":"1"}}', '{"resultType":"task"}']) {
      const response = `{"id":1,"result":${result}}`
      assert.strictEqual(answer("tools/call", response), response)
    }
  })
})

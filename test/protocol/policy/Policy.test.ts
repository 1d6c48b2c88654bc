import { assert, describe, it } from "@effect/vitest"
import * as Policy from "../../../src/protocol/policy/Policy.ts"
import * as ToolPattern from "../../../src/protocol/relay/ToolPattern.ts"
import { key, peer, policy, STRANGER, verdict } from "../../support/PolicyRig.ts"

const MESSAGE = { service: "messages" } as const
const allow = (who: string, ...what: ReadonlyArray<string>) => ({ effect: "allow", who: [who], what })
const deny = (who: string, ...what: ReadonlyArray<string>) => ({ effect: "deny", who: [who], what })

describe("a policy's decision", () => {
  it("is, without a file, what was exposed: a trusted peer may, a stranger may not", () => {
    assert.strictEqual(verdict(Policy.NONE, peer("A"), MESSAGE), "yes exposed")
    assert.strictEqual(verdict(Policy.NONE, peer("A"), MESSAGE, false), "no notExposed")
    assert.strictEqual(verdict(Policy.NONE, STRANGER, MESSAGE, false), "no notExposed")
  })

  it("lets a denial win, wherever it stands and whatever allows", () => {
    const self = policy([allow(`key:${key("A")}`, "files/pull/x"), deny("trusted", "files")])

    assert.strictEqual(verdict(self, peer("A"), { service: "files/pull", target: "x" }), "no denied by rule 2")
    assert.strictEqual(verdict(self, peer("A"), MESSAGE), "yes exposed")
  })

  it("knows a peer by its key, its pinned name, a tag of the file, the network of the trust list, with exceptions", () => {
    const tags = { ops: [`key:${key("A")}`, "name:Boss"] }
    const named = policy([deny("name:boss", "messages")])
    const tagged = policy([{ ...deny("trusted", "messages"), except: ["tag:ops"] }], { tags })
    const network = policy([deny("network:7", "messages")])

    assert.strictEqual(verdict(named, peer("B", ["boss"]), MESSAGE), "no denied by rule 1")
    assert.strictEqual(verdict(named, peer("B", ["bosso"]), MESSAGE), "yes exposed")
    assert.strictEqual(verdict(tagged, peer("A"), MESSAGE), "yes exposed")
    assert.strictEqual(verdict(tagged, peer("C", ["boss"]), MESSAGE), "yes exposed")
    assert.strictEqual(verdict(tagged, peer("C"), MESSAGE), "no denied by rule 1")
    assert.strictEqual(verdict(network, peer("C", [], 7), MESSAGE), "no denied by rule 1")
    assert.strictEqual(verdict(network, peer("C", [], 8), MESSAGE), "yes exposed")
  })

  it("tells kinds of tasks apart; one without a kind is meant by all of them only", () => {
    const self = policy([deny("trusted", "tasks/shell*")])
    const all = policy([allow("trusted", "tasks/sum")], { default: "nothing" })
    const task = (target?: string) => ({ service: "tasks", ...(target === undefined ? {} : { target }) }) as const

    assert.strictEqual(verdict(self, peer("A"), task("shell.run")), "no denied by rule 1")
    assert.strictEqual(verdict(self, peer("A"), task("sum")), "yes exposed")
    assert.strictEqual(verdict(self, peer("A"), task("")), "yes exposed")
    assert.strictEqual(verdict(self, peer("A"), task()), "yes exposed")
    assert.strictEqual(verdict(policy([deny("trusted", "tasks")]), peer("A"), task("")), "no denied by rule 1")
    assert.strictEqual(verdict(policy([deny("trusted", "tasks/*")]), peer("A"), task("")), "no denied by rule 1")
    assert.strictEqual(verdict(all, peer("A"), task()), "yes allowed by rule 1")
    assert.strictEqual(verdict(all, peer("A"), task("sum")), "yes allowed by rule 1")
    assert.strictEqual(verdict(all, peer("A"), task("")), "no default")
  })

  it("still speaks of a peer that has changed its key as its chain allows (security rule 9)", () => {
    const self = policy([deny(`key:${key("A")}`, "messages")])
    const later = { ...peer("B"), formerFingerprints: [peer("A").fingerprint] }

    assert.strictEqual(verdict(self, later, MESSAGE), "no denied by rule 1")
    assert.strictEqual(verdict(self, peer("B"), MESSAGE), "yes exposed")
  })

  it("never grants anything to a stranger, by no name, tag, network or key (security rules 2 and 3)", () => {
    const who = ["anyone", "trusted", `key:${key("A")}`, "name:a", "tag:t", "network:0"]
    const self = policy(
      who.map((one) => allow(one, "files/pull/x")),
      { tags: { t: ["name:a"] } }
    )
    const claims = { ...peer("A", ["a"]), isTrusted: false }

    for (const subject of [STRANGER, claims])
      assert.strictEqual(verdict(self, subject, { service: "files/pull", target: "x" }, false), "no notExposed")
    assert.strictEqual(verdict(policy([deny("anyone", "echo")]), STRANGER, { service: "echo" }), "no denied by rule 1")
    assert.strictEqual(verdict(policy([deny("trusted", "echo")]), STRANGER, { service: "echo" }), "yes exposed")
  })

  it("grants a trusted peer a named thing, and never a whole service", () => {
    const self = policy([
      allow(`key:${key("A")}`, "files/pull/reports", "mcp/db"),
      allow("trusted", "files", "mcp", "*")
    ])

    const pull = (target: string) => verdict(self, peer("A"), { service: "files/pull", target }, false)
    assert.strictEqual(pull("reports"), "yes granted by rule 1")
    assert.strictEqual(pull("reports/2026/a.pdf"), "yes granted by rule 1")
    assert.strictEqual(pull("reportsx"), "no notExposed")
    assert.strictEqual(verdict(self, peer("B"), { service: "files/pull", target: "reports" }, false), "no notExposed")
    assert.strictEqual(verdict(self, peer("A"), { service: "mcp", target: "db" }, false), "yes granted by rule 1")
    assert.strictEqual(verdict(self, peer("A"), { service: "mcp", target: "dc" }, false), "no notExposed")
  })

  it("speaks of a directory and what is in it, whether its path ends with a slash or not", () => {
    const self = policy([deny("trusted", "files/pull/docs/secret/")])

    const pull = (target: string) => verdict(self, peer("A"), { service: "files/pull", target })
    assert.strictEqual(pull("docs/secret"), "no denied by rule 1")
    assert.strictEqual(pull("docs/secret/a.pdf"), "no denied by rule 1")
    assert.strictEqual(pull("docs/secrets"), "yes exposed")
  })

  it('allows, with default "nothing", only what a rule says', () => {
    const self = policy([allow("trusted", "messages", "events/subscribe/data.*")], { default: "nothing" })

    assert.strictEqual(verdict(self, peer("A"), MESSAGE), "yes allowed by rule 1")
    assert.strictEqual(verdict(self, peer("A"), { service: "files/push" }), "no default")
    const subscribe = (target: string) => verdict(self, peer("A"), { service: "events/subscribe", target })
    assert.strictEqual(subscribe("data.x"), "yes allowed by rule 1")
    assert.strictEqual(subscribe("other"), "no default")
    assert.strictEqual(verdict(self, peer("A"), MESSAGE, false), "no notExposed")
  })

  it("denies what is not known yet only if all of it is denied, and allows it if any of it is", () => {
    const topics = { service: "events/publish" } as const
    const pull = { service: "files/pull" } as const
    const calls = { service: "mcp", target: "db" } as const

    assert.strictEqual(verdict(policy([deny("trusted", "events/publish/data.*")]), peer("A"), topics), "yes exposed")
    assert.strictEqual(
      verdict(policy([deny("trusted", "events/publish/**")]), peer("A"), topics),
      "no denied by rule 1"
    )
    assert.strictEqual(verdict(policy([deny("trusted", "files/pull/x")]), peer("A"), pull), "yes exposed")
    assert.strictEqual(verdict(policy([deny("trusted", "files/pull/*")]), peer("A"), pull), "no denied by rule 1")
    assert.strictEqual(verdict(policy([deny("trusted", "mcp/db/write_*")]), peer("A"), calls), "yes exposed")
    assert.strictEqual(verdict(policy([deny("trusted", "mcp/db/*")]), peer("A"), calls), "no denied by rule 1")
    const some = policy([allow("trusted", "mcp/db/read_*", "files/pull/x")], { default: "nothing" })
    assert.strictEqual(verdict(some, peer("A"), calls), "yes allowed by rule 1")
    assert.strictEqual(verdict(some, peer("A"), pull), "yes allowed by rule 1")
  })

  it("counts an argument that could be read in two ways against the caller", () => {
    const call = (value: string | undefined | typeof ToolPattern.UNCLEAR) =>
      ({ service: "mcp", target: "fs", tool: "write", argument: () => value }) as const
    const denying = policy([deny("trusted", "mcp/fs/write(path=etc/*)")])
    const allowing = policy([allow("trusted", "mcp/fs/write(path=tmp/*)")], { default: "nothing" })

    assert.strictEqual(verdict(denying, peer("A"), call("etc/x")), "no denied by rule 1")
    assert.strictEqual(verdict(denying, peer("A"), call("tmp/x")), "yes exposed")
    assert.strictEqual(verdict(denying, peer("A"), call("tmp/../etc/x")), "no denied by rule 1")
    assert.strictEqual(verdict(denying, peer("A"), call(ToolPattern.UNCLEAR)), "no denied by rule 1")
    assert.strictEqual(verdict(allowing, peer("A"), call("tmp/x")), "yes allowed by rule 1")
    assert.strictEqual(verdict(allowing, peer("A"), call("tmp/../etc/x")), "no default")
    assert.strictEqual(verdict(allowing, peer("A"), call(ToolPattern.UNCLEAR)), "no default")
  })

  it("holds for ports, ranges and datagrams as they are written", () => {
    const self = policy([deny("trusted", "gateway/8000-8999", "datagram/53")])

    const port = (number: number) => verdict(self, peer("A"), { service: "port", port: number })
    assert.strictEqual(port(7999), "yes exposed")
    assert.strictEqual(port(8000), "no denied by rule 1")
    assert.strictEqual(port(8999), "no denied by rule 1")
    assert.strictEqual(port(9000), "yes exposed")
    assert.strictEqual(verdict(self, peer("A"), { service: "datagram", port: 53 }), "no denied by rule 1")
    assert.strictEqual(verdict(self, peer("A"), { service: "datagram", port: 8000 }), "yes exposed")
  })

  it("is in force between its instants and in its hours, over midnight too", () => {
    const at = (text: string) => Date.parse(text)
    const dated = policy([
      { ...deny("trusted", "*"), from: "2026-12-01T00:00:00Z", until: "2026-12-02T00:00:00+01:00" }
    ])
    const hours = { from: "22:00", to: "06:00", days: ["fri"], utcOffset: "+01:00" }
    const nightly = policy([{ ...deny("trusted", "*"), hours }])
    const denied = (self: Policy.Policy, text: string) =>
      verdict(self, peer("A"), MESSAGE, true, at(text)).startsWith("no")

    assert.isFalse(denied(dated, "2026-11-30T23:59:59.999Z"))
    assert.isTrue(denied(dated, "2026-12-01T00:00:00Z"))
    assert.isTrue(denied(dated, "2026-12-01T22:59:59Z"))
    assert.isFalse(denied(dated, "2026-12-01T23:00:00Z"))
    // 4 December 2026 is a Friday.
    assert.isFalse(denied(nightly, "2026-12-04T20:59:00Z"))
    assert.isTrue(denied(nightly, "2026-12-04T21:00:00Z"))
    assert.isTrue(denied(nightly, "2026-12-05T04:59:00Z"))
    assert.isFalse(denied(nightly, "2026-12-05T05:00:00Z"))
    assert.isFalse(denied(nightly, "2026-12-05T21:00:00Z"))
  })

  it("names the rules whose limits count: those with limits, and the one that allowed", () => {
    const self = policy([
      { ...allow("trusted", "messages"), name: "a", limit: { concurrent: 1 } },
      { effect: "limit", name: "b", who: ["trusted"], what: ["*"], limit: { requestsPerMinute: 5 } },
      { effect: "limit", name: "c", who: ["trusted"], what: ["files"], limit: { requestsPerMinute: 5 } }
    ])
    const rules = Policy.rulesFor(self, peer("A"))

    const names = Policy.decide(self, rules, MESSAGE, true, true, 0).limits.map(({ name }) => name)
    assert.deepStrictEqual(names, ["a", "b"])
  })
})

import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import * as Birthday from "../../src/nat/Birthday.ts"
import * as SeededRandom from "../../src/testing/SeededRandom.ts"
import * as Arb from "../support/Arbitraries.ts"

describe("Birthday", () => {
  it("finds a path in 98 of 100 tries, as the formula of the birthday problem says", () => {
    const { guesses, sockets } = Birthday.defaults

    assert.approximately(Birthday.chance(sockets, guesses), 0.983, 0.001)
    assert.approximately(Birthday.chance(sockets, guesses), 1 - Math.exp((-sockets * guesses) / 64_512), 0.002)
    assert.strictEqual(Birthday.chance(0, guesses), 0)
    assert.strictEqual(Birthday.chance(1, 64_512), 1)
  })

  it("and as drawing does", () => {
    const random = SeededRandom.make(5)
    const any = () => SeededRandom.index(random, 2 ** 32)
    const tries = 400
    let hits = 0
    for (let round = 0; round < tries; round++) {
      const [open, tried] = [new Birthday.PortDeck(), new Birthday.PortDeck()]
      const ports = new Set(Array.from({ length: 64 }, () => open.draw(any())))
      if (Array.from({ length: 500 }, () => tried.draw(any())).some((port) => ports.has(port))) hits += 1
    }

    assert.approximately(hits / tries, Birthday.chance(64, 500), 0.07)
  })
})

describe("PortDeck", () => {
  it.prop(
    "draws no port twice, and none that a translator leaves to others",
    { numbers: Arbitrary.array(Arb.oneOf(Arb.unsigned(32), Arb.element(0, 1, 64_511, 64_512)), { maxLength: 300 }) },
    ({ numbers }) => {
      const deck = new Birthday.PortDeck()
      const ports = numbers.map((number) => deck.draw(number))

      assert.strictEqual(new Set(ports).size, ports.length)
      assert.isTrue(ports.every((port) => port >= Birthday.PORT_MIN && port <= 65_535))
    }
  )

  it("draws all there are before it begins again", () => {
    const deck = new Birthday.PortDeck()
    const random = SeededRandom.make(3)
    const ports = new Set(Array.from({ length: 64_512 }, () => deck.draw(SeededRandom.index(random, 2 ** 32))))

    assert.strictEqual(ports.size, 64_512)
    assert.isTrue(ports.has(deck.draw(9)))
  })
})

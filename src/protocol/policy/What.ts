/** What a rule speaks of: the entries of `what`, and whether a wish is one of them. */
import { Result } from "effect"
import * as TopicPattern from "../pubsub/TopicPattern.ts"
import * as ToolPattern from "../relay/ToolPattern.ts"
import { type Action, SERVICES, type Service } from "./Action.ts"

/** One entry. `target` and `tool` are undefined where it speaks of all of them. */
export interface What {
  readonly text: string
  readonly services: ReadonlyArray<Service>
  readonly ports?: { readonly first: number; readonly last: number } | undefined
  readonly target?: string | undefined
  readonly topic?: TopicPattern.TopicPattern | undefined
  readonly tool?: ToolPattern.ToolPattern | undefined
}

/** One entry, or what is wrong with it. */
export const parse = (text: string): Result.Result<What, string> => {
  if (text === "*") return Result.succeed({ text, services: SERVICES })
  const [head = "", ...rest] = text.split("/")
  switch (head) {
    case "echo":
    case "messages":
      return rest.length === 0 ? Result.succeed({ text, services: [head] }) : wrong(text, `${head} has no parts`)
    case "port":
    case "gateway":
      return ports(text, "port", rest)
    case "datagram":
      return ports(text, "datagram", rest)
    case "files":
      return files(text, rest)
    case "events":
      return events(text, rest)
    case "tasks":
      return Result.succeed({ text, services: [head], target: rest.length === 0 ? undefined : rest.join("/") })
    case "mcp":
      return mcp(text, rest)
    default:
      return wrong(text, "no such service: port, gateway, datagram, echo, messages, files, events, tasks, mcp, or *")
  }
}

/** Whether a permission with this entry covers the wish: one that is not quite known is, if it may be one of these. */
export const permits = (self: What, action: Action): boolean => meets(self, action, false)

/** Whether a denial with this entry covers the wish: one that is not quite known only if all of them are denied. */
export const denies = (self: What, action: Action): boolean => meets(self, action, true)

/** Whether it names one thing and not a whole service: only such an entry can grant what was not exposed. */
export const isNamed = ({ services, target }: What): boolean => services.length === 1 && target !== undefined

const meets = (self: What, action: Action, isDenial: boolean): boolean => {
  if (!self.services.includes(action.service)) return false
  if (self.ports !== undefined) {
    const { port } = action
    return port !== undefined && port >= self.ports.first && port <= self.ports.last
  }
  if (self.topic !== undefined) {
    if (action.target === undefined) return !isDenial || isEverything(self.topic)
    return TopicPattern.matches(self.topic, TopicPattern.topic(action.target))
  }
  if (self.target !== undefined) {
    if (action.target === undefined) {
      if (isDenial && self.target !== "*") return false
    } else if (!isTarget(self, action)) return false
  }
  return self.tool === undefined || meetsTool(self.tool, action, isDenial)
}

/** A share, and what lies in it. */
const isTarget = ({ target = "" }: What, action: Action): boolean => {
  const wanted = action.target ?? ""
  if (ToolPattern.matches(target, wanted)) return true
  return action.service === "files/pull" && ToolPattern.matches(`${target}/*`, wanted)
}

const meetsTool = (tool: ToolPattern.ToolPattern, action: Action, isDenial: boolean): boolean => {
  if (action.tool === undefined) return !isDenial || (tool.args.length === 0 && tool.name === "*")
  if (action.argument === undefined && tool.args.length > 0)
    return !isDenial && ToolPattern.matches(tool.name, action.tool)
  const argument = action.argument ?? (() => undefined)
  return isDenial
    ? ToolPattern.names([tool], action.tool, argument)
    : ToolPattern.permits([tool], action.tool, argument)
}

const isEverything = ({ text }: TopicPattern.TopicPattern): boolean => text === "*" || text === "**"

const ports = (
  text: string,
  service: "port" | "datagram",
  rest: ReadonlyArray<string>
): Result.Result<What, string> => {
  if (rest.length === 0) return Result.succeed({ text, services: [service] })
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(rest.join("/"))
  const first = Number(match?.[1] ?? PORT_MAX + 1)
  const last = Number(match?.[2] ?? first)
  return first <= last && last <= PORT_MAX
    ? Result.succeed({ text, services: [service], ports: { first, last } })
    : wrong(text, `a port is 0 to ${PORT_MAX}, a range FIRST-LAST`)
}

const files = (text: string, [verb, ...path]: ReadonlyArray<string>): Result.Result<What, string> => {
  if (verb === undefined) return Result.succeed({ text, services: ["files/push", "files/pull"] })
  if (verb === "push" && path.length === 0) return Result.succeed({ text, services: ["files/push"] })
  if (verb !== "pull") return wrong(text, "files, files/push, files/pull or files/pull/SHARE")
  // `docs/` is `docs`: paths that are asked for never end so, and a denial would cover nothing.
  const target = path.join("/").replace(/\/+$/, "")
  return Result.succeed({ text, services: ["files/pull"], target: target === "" ? undefined : target })
}

const events = (text: string, [verb, ...topic]: ReadonlyArray<string>): Result.Result<What, string> => {
  if (verb === undefined) return Result.succeed({ text, services: ["events/publish", "events/subscribe"] })
  if (verb !== "publish" && verb !== "subscribe")
    return wrong(text, "events, events/publish[/TOPIC] or events/subscribe[/TOPIC]")
  const services: ReadonlyArray<Service> = [`events/${verb}`]
  if (topic.length === 0) return Result.succeed({ text, services })
  return Result.succeed({ text, services, target: topic.join("/"), topic: TopicPattern.parse(topic.join("/")) })
}

const mcp = (text: string, [server, ...rest]: ReadonlyArray<string>): Result.Result<What, string> => {
  const services = ["mcp"] as const
  if (server === "" && rest.length > 0) return wrong(text, "mcp/SERVER/TOOL names a server and a tool, * for any")
  if (server === undefined || server === "") return Result.succeed({ text, services })
  if (rest.length === 0) return Result.succeed({ text, services, target: server })
  const tool = ToolPattern.parse(rest.join("/"))
  return tool === undefined || tool.isDenial
    ? wrong(text, "a tool is NAME or NAME(argument=pattern), with * and ?")
    : Result.succeed({ text, services, target: server, tool })
}

const wrong = (text: string, detail: string) => Result.fail(`${JSON.stringify(text)}: ${detail}`)

const PORT_MAX = 0xffff

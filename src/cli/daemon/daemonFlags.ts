/** The flags of a daemon (node §11, cli §3): one per member of its configuration, and what only the command knows. */
import type { Flag } from "../Command.ts"

/** In the order of the help text. */
export const FLAGS: ReadonlyArray<Flag> = [
  { name: "config", value: "path", summary: "JSON file whose keys are these flags" },
  {
    name: "registry",
    value: "address",
    summary: "registry, host:port (default 127.0.0.1:9000); given again: a further one, as --rendezvous takes it",
    repeats: true
  },
  {
    name: "rendezvous",
    value: "text",
    placeholder: "[alias=]host:port[/beacon][#fingerprint]",
    summary: "a further rendezvous to be registered with; may be given several times",
    repeats: true
  },
  { name: "registry-fingerprint", value: "text", placeholder: "hex", summary: "pin of the registry's TLS certificate" },
  { name: "registry-plaintext", value: "boolean", summary: "plain TCP, for a registry of the reference" },
  { name: "registry-tls", value: "boolean", summary: "insist on TLS with the pin (implied by it)" },
  { name: "beacon", value: "address", summary: "beacon, host:port (default 127.0.0.1:9001)" },
  {
    name: "wss",
    value: "text",
    placeholder: "url",
    summary: "WebSockets of the rendezvous, for when UDP is blocked; off (default wss://REGISTRY-HOST)"
  },
  {
    name: "proxy",
    value: "text",
    placeholder: "url",
    summary: "HTTP proxy that leads there: URL, @FILE or none (default HTTPS_PROXY and NO_PROXY)"
  },
  { name: "listen", value: "address", summary: "UDP socket, [host]:port (default :0)" },
  { name: "endpoint", value: "address", summary: "where the world reaches this node, if not as the beacon sees it" },
  { name: "identity", value: "path", summary: "key file (default identity.key in the state directory)" },
  { name: "passphrase-file", value: "path", summary: "passphrase of an encrypted key file, - for standard input" },
  { name: "owner", value: "text", placeholder: "owner", summary: "who runs this node, for people" },
  { name: "hostname", value: "text", placeholder: "name", summary: "name of this node" },
  { name: "public", value: "boolean", summary: "every node may see the endpoint and reach the echo" },
  { name: "no-echo", value: "boolean", summary: "no echo on port 7" },
  { name: "no-lan", value: "boolean", summary: "neither finds nodes on the local network nor is found there" },
  { name: "no-port-guessing", value: "boolean", summary: "no guessing of ports behind two hard translators" },
  { name: "no-port-mapping", value: "boolean", summary: "asks no router for a port (NAT-PMP, PCP, UPnP)" },
  { name: "no-dataexchange", value: "boolean", summary: "no messages, files and shares on port 1001" },
  { name: "received-quota", value: "number", placeholder: "MiB", summary: "disk for received files (default 2048)" },
  { name: "no-eventstream", value: "boolean", summary: "no event broker on port 1002" },
  { name: "no-tasks", value: "boolean", summary: "no tasks on port 1003" },
  { name: "task-scores", value: "boolean", summary: "tasks only from nodes whose polo score is not below ours" },
  { name: "encrypt", value: "boolean", summary: "tunnel encryption (default true)" },
  { name: "no-encrypt", value: "boolean", summary: "no tunnel encryption: everything is in the clear" },
  { name: "socket", value: "path", summary: "local socket of the daemon" },
  { name: "compat-socket", value: "boolean", summary: "serve /tmp/pilot.sock too, for programs of the reference" },
  { name: "keepalive", value: "duration", summary: "between heartbeats (default 30s)" },
  { name: "idle-timeout", value: "duration", summary: "idle streams are closed after this (default 2m)" },
  { name: "time-wait", value: "duration", summary: "how long a closed stream keeps its ports (default 10s)" },
  { name: "syn-rate-limit", value: "number", summary: "new streams per second (default 100)" },
  { name: "max-conns-per-port", value: "number", summary: "streams per port (default 1024)" },
  { name: "max-conns-total", value: "number", summary: "streams in all (default 4096)" },
  { name: "webhook", value: "text", placeholder: "url", summary: "where events of this node are posted" },
  {
    name: "webhook-allow",
    value: "text",
    placeholder: "blocks",
    summary: "private addresses that the webhook's name may lead to: 10.0.0.0/8,fd00::/8"
  },
  { name: "log-level", value: "text", placeholder: "level", summary: "debug, info, warn or error (default info)" },
  { name: "log-format", value: "text", placeholder: "fmt", summary: "text or json (default text)" },
  { name: "foreground", value: "boolean", summary: "stay in this process, logs on standard error" }
]

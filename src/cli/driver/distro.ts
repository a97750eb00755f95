/** The Linux distribution below us, from /etc/os-release. */
export interface Distro {
  /** "debian", "ubuntu", "fedora", ...: the nearest family whose packages it takes. */
  family: string;
  /** The family's release name, such as "bookworm" or "noble"; "" when it has none. */
  codename: string;
  /** The name to print, such as "Debian GNU/Linux 12 (bookworm)". */
  name: string;
}

/** The families that aubade knows by name, nearest first in `ID` and then `ID_LIKE`. */
const FAMILIES = ["ubuntu", "debian", "fedora", "rhel", "arch", "opensuse", "suse"];

/** Reads the text of /etc/os-release. Source: os-release(5). */
export function parseOsRelease(text: string): Distro {
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    const match = /^([A-Z_]+)=(.*)$/.exec(line.trim());
    if (match) fields.set(match[1]!, match[2]!.replace(/^(["'])(.*)\1$/, "$2"));
  }
  const id = fields.get("ID") ?? "linux";
  const names = [id, ...(fields.get("ID_LIKE") ?? "").split(" ")];
  const family = names.find((name) => FAMILIES.includes(name)) ?? id;
  const upstream = family === "ubuntu" ? "UBUNTU_CODENAME" : "DEBIAN_CODENAME";
  return {
    family,
    codename: fields.get(upstream) ?? fields.get("VERSION_CODENAME") ?? "",
    name: fields.get("PRETTY_NAME") ?? id,
  };
}

/** One archive of a machine's apt sources. */
export interface AptSource {
  /** The archive's address, such as "http://deb.debian.org/debian". */
  uri: string;
  /** The suites taken from it, such as ["bookworm", "bookworm-updates"]. */
  suites: string[];
}

/**
 * Reads an apt sources file, one-line style or deb822; disabled and source-only entries are left
 * out. Source: sources.list(5).
 */
export function parseAptSources(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)/.exec(line);
    if (match) sources.push({ uri: match[1]!, suites: [match[2]!] });
  }
  for (const stanza of text.replace(/^#.*\n?/gm, "").split(/\n\s*\n/)) {
    const fields = new Map<string, string>();
    for (const match of stanza.matchAll(/^([\w-]+):[ \t]*(.*(?:\n[ \t]+\S.*)*)/gm)) {
      fields.set(match[1]!.toLowerCase(), match[2]!.trim());
    }
    const words = (name: string): string[] => (fields.get(name) ?? "").split(/\s+/).filter(Boolean);
    if (!words("types").includes("deb") || /^(no|false|0)$/i.test(fields.get("enabled") ?? "")) {
      continue;
    }
    for (const uri of words("uris")) sources.push({ uri, suites: words("suites") });
  }
  return sources;
}

/** The source of a private driver: a few suites of one archive and the key that signs them. */
export interface DriverArchive {
  /** Mirrors to try in this order: the machine's own, then the public one. */
  mirrors: string[];
  suites: string[];
  components: string[];
  /** The suite whose Mesa is taken; what it does not have comes from the others. */
  target: string;
  /** The distribution's own keyring, against which apt checks what it fetches. */
  keyring: string;
}

/**
 * Ubuntu 26.04 has the oldest Mesa of Ubuntu with subgroup matrices in its software driver; the
 * driver brings its own libc, so older releases take it too.
 */
const UBUNTU_SUITE = "resolute";
/** Releases of Ubuntu at least as new as `UBUNTU_SUITE` are taken as they are, by this order. */
const OLDER_UBUNTU = [
  "focal",
  "jammy",
  "lunar",
  "mantic",
  "noble",
  "oracular",
  "plucky",
  "questing",
];

/**
 * Returns the archive from which this distribution can fetch the driver, or undefined where none is
 * known.
 *
 * @param sources what the machine's own apt sources say; mirrors are taken from them.
 * @param arch Debian's name of the architecture; Ubuntu keeps all but amd64 on another host.
 */
export function driverArchive(
  distro: Distro,
  sources: AptSource[],
  arch: string,
): DriverArchive | undefined {
  if (distro.family === "debian") {
    return {
      mirrors: mirrors(sources, distro.codename, "http://deb.debian.org/debian"),
      suites: ["trixie", "trixie-updates", "trixie-backports"],
      components: ["main"],
      target: "trixie-backports",
      keyring: "/usr/share/keyrings/debian-archive-keyring.gpg",
    };
  }
  if (distro.family === "ubuntu") {
    const own = distro.codename;
    const suite = own === "" || OLDER_UBUNTU.includes(own) ? UBUNTU_SUITE : own;
    const home =
      arch === "amd64"
        ? "http://archive.ubuntu.com/ubuntu"
        : "http://ports.ubuntu.com/ubuntu-ports";
    return {
      mirrors: mirrors(sources, own, home),
      suites: [suite, `${suite}-updates`],
      components: ["main", "universe"],
      target: `${suite}-updates`,
      keyring: "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
    };
  }
  return undefined;
}

/**
 * Returns the archives that carry the release itself (not its security suite), then the public one.
 */
function mirrors(sources: AptSource[], codename: string, home: string): string[] {
  const own = sources
    .filter(({ uri }) => /^(https?|mirror|mirror\+file|file|copy):/.test(uri))
    .filter(({ suites }) => suites.includes(codename) || suites.includes("stable"))
    .map(({ uri }) => uri.replace(/\/+$/, ""));
  return [...new Set([...own, home])];
}

/** Returns the text of a sources.list that takes `archive` from one mirror, signature checked. */
export function sourcesList(archive: DriverArchive, mirror: string): string {
  const components = archive.components.join(" ");
  return archive.suites
    .map((suite) => `deb [signed-by=${archive.keyring}] ${mirror} ${suite} ${components}\n`)
    .join("");
}

/**
 * Returns the one command that gives this system a Vulkan driver; undefined where aubade knows
 * none.
 */
export function helpCommand(distro: Distro, sources: AptSource[] = []): string | undefined {
  switch (distro.family) {
    case "debian": {
      if (distro.codename !== "bookworm") return "sudo apt-get install mesa-vulkan-drivers";
      // Debian 12's own Mesa 22.3 is too old for Dawn; its backports have 25.0.7.
      const install = "sudo apt-get install -t bookworm-backports mesa-vulkan-drivers";
      if (sources.some(({ suites }) => suites.includes("bookworm-backports"))) return install;
      const line = "deb http://deb.debian.org/debian bookworm-backports main";
      const list = "/etc/apt/sources.list.d/backports.list";
      return `echo "${line}" | sudo tee ${list} && sudo apt-get update && ${install}`;
    }
    case "ubuntu":
      return "sudo apt-get install mesa-vulkan-drivers";
    case "fedora":
    case "rhel":
      return "sudo dnf install mesa-vulkan-drivers";
    case "arch":
      return "sudo pacman -S vulkan-swrast";
    case "opensuse":
    case "suse":
      return "sudo zypper install libvulkan1 libvulkan_lvp";
    default:
      return undefined;
  }
}

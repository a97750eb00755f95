import { describe, expect, it } from "vitest";

import {
  driverArchive,
  helpCommand,
  parseAptSources,
  parseOsRelease,
  sourcesList,
} from "../../../src/cli/driver/distro.ts";

// As the distributions ship them, shortened to the fields that matter here.
const BOOKWORM = `PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"
NAME="Debian GNU/Linux"
VERSION_ID="12"
VERSION_CODENAME=bookworm
ID=debian
`;
const TRIXIE = BOOKWORM.replaceAll("bookworm", "trixie").replaceAll("12", "13");
const NOBLE = `PRETTY_NAME="Ubuntu 24.04.3 LTS"
NAME="Ubuntu"
VERSION_ID="24.04"
VERSION_CODENAME=noble
ID=ubuntu
ID_LIKE=debian
UBUNTU_CODENAME=noble
`;
const MINT = `NAME="Linux Mint"
ID=linuxmint
ID_LIKE="ubuntu debian"
PRETTY_NAME="Linux Mint 22"
VERSION_CODENAME=wilma
UBUNTU_CODENAME=noble
`;
const FEDORA = `NAME="Fedora Linux"\nID=fedora\nVERSION_CODENAME=""\nPRETTY_NAME="Fedora Linux 43"\n`;

const DEBIAN_SOURCES = `Types: deb
# http://snapshot.debian.org/archive/debian/20250520T000000Z
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main
`;
const CLOUD_SOURCES = `Types: deb deb-src
URIs: mirror+file:///etc/apt/mirrors/debian.list
Suites: trixie trixie-updates trixie-backports
Components: main
`;
const UBUNTU_SOURCES = `Enabled: no
Types: deb
URIs: http://disabled.example/ubuntu
Suites: noble

Types: deb-src
URIs: http://source.example/ubuntu
Suites: noble

Types: deb
URIs: http://de.archive.ubuntu.com/ubuntu/
Suites: noble noble-updates
 noble-backports
Components: main universe

Types: deb
URIs: http://security.ubuntu.com/ubuntu/
Suites: noble-security
Components: main
`;
const ONE_LINE = `# deb http://commented.example/debian bookworm main
deb cdrom:[Debian GNU/Linux 12]/ bookworm main
deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian/ bookworm main contrib
deb-src https://mirror.example/debian/ bookworm main
`;

describe("parseOsRelease", () => {
  it.each([
    ["Debian 12", BOOKWORM, { family: "debian", codename: "bookworm" }],
    ["Debian 13", TRIXIE, { family: "debian", codename: "trixie" }],
    ["Ubuntu 24.04", NOBLE, { family: "ubuntu", codename: "noble" }],
    ["Linux Mint, by the Ubuntu below it", MINT, { family: "ubuntu", codename: "noble" }],
    ["Fedora", FEDORA, { family: "fedora", codename: "", name: "Fedora Linux 43" }],
    ["an empty file", "", { family: "linux", codename: "", name: "linux" }],
  ])("reads %s", (_, text, expected) => {
    expect(parseOsRelease(text)).toMatchObject(expected);
  });
});

describe("parseAptSources", () => {
  it("reads deb822 stanzas without comments, disabled and source-only ones", () => {
    expect(parseAptSources(DEBIAN_SOURCES)).toEqual([
      { uri: "http://deb.debian.org/debian", suites: ["bookworm", "bookworm-updates"] },
      { uri: "http://deb.debian.org/debian-security", suites: ["bookworm-security"] },
    ]);
    expect(parseAptSources(UBUNTU_SOURCES)).toEqual([
      {
        uri: "http://de.archive.ubuntu.com/ubuntu/",
        suites: ["noble", "noble-updates", "noble-backports"],
      },
      { uri: "http://security.ubuntu.com/ubuntu/", suites: ["noble-security"] },
    ]);
  });

  it("reads one-line entries with options", () => {
    expect(parseAptSources(ONE_LINE)).toContainEqual({
      uri: "https://mirror.example/debian/",
      suites: ["bookworm"],
    });
    expect(parseAptSources(ONE_LINE)).toHaveLength(2);
  });
});

describe("driverArchive", () => {
  const list = (release: string, sources: string, arch = "amd64"): string[] => {
    const archive = driverArchive(parseOsRelease(release), parseAptSources(sources), arch)!;
    return archive.mirrors.map((mirror) => sourcesList(archive, mirror));
  };

  it("takes trixie-backports on Debian 12, checked with Debian's keys", () => {
    const key = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]";
    expect(list(BOOKWORM, DEBIAN_SOURCES)).toEqual([
      `deb ${key} http://deb.debian.org/debian trixie main\n` +
        `deb ${key} http://deb.debian.org/debian trixie-updates main\n` +
        `deb ${key} http://deb.debian.org/debian trixie-backports main\n`,
    ]);
  });

  it("tries the machine's own mirror first and the public one after it", () => {
    const archive = driverArchive(parseOsRelease(BOOKWORM), parseAptSources(ONE_LINE), "amd64")!;
    expect(archive.mirrors).toEqual([
      "https://mirror.example/debian",
      "http://deb.debian.org/debian",
    ]);
    expect(list(TRIXIE, CLOUD_SOURCES)[0]).toContain(
      " mirror+file:///etc/apt/mirrors/debian.list trixie-backports main\n",
    );
  });

  it("takes Ubuntu 26.04's Mesa on 24.04, from the main mirror and with Ubuntu's keys", () => {
    const key = "[signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg]";
    const lists = list(NOBLE, UBUNTU_SOURCES);
    expect(lists[0]).toBe(
      `deb ${key} http://de.archive.ubuntu.com/ubuntu resolute main universe\n` +
        `deb ${key} http://de.archive.ubuntu.com/ubuntu resolute-updates main universe\n`,
    );
    expect(lists[1]).toContain("http://archive.ubuntu.com/ubuntu resolute ");
    expect(list(MINT, "")[0]).toContain("http://archive.ubuntu.com/ubuntu resolute ");
  });

  it("takes a newer Ubuntu as it is, and other processors from their own host", () => {
    expect(list(NOBLE.replaceAll("noble", "zesty"), "")[0]).toContain("ubuntu zesty main");
    expect(list(NOBLE, "", "arm64")[0]).toContain("http://ports.ubuntu.com/ubuntu-ports resolute");
  });

  it("knows no archive elsewhere", () => {
    expect(driverArchive(parseOsRelease(FEDORA), [], "amd64")).toBeUndefined();
  });
});

describe("helpCommand", () => {
  const command = (release: string, sources = ""): string | undefined =>
    helpCommand(parseOsRelease(release), parseAptSources(sources));

  it("adds backports on Debian 12 unless they are there", () => {
    expect(command(BOOKWORM, DEBIAN_SOURCES)).toBe(
      'echo "deb http://deb.debian.org/debian bookworm-backports main" | ' +
        "sudo tee /etc/apt/sources.list.d/backports.list && sudo apt-get update && " +
        "sudo apt-get install -t bookworm-backports mesa-vulkan-drivers",
    );
    expect(command(BOOKWORM, "deb http://m.example/debian bookworm-backports main\n")).toBe(
      "sudo apt-get install -t bookworm-backports mesa-vulkan-drivers",
    );
  });

  it.each([
    [TRIXIE, "sudo apt-get install mesa-vulkan-drivers"],
    [NOBLE, "sudo apt-get install mesa-vulkan-drivers"],
    [FEDORA, "sudo dnf install mesa-vulkan-drivers"],
    ["ID=cachyos\nID_LIKE=arch\n", "sudo pacman -S vulkan-swrast"],
    ["ID=alpine\n", undefined],
  ])("is one line elsewhere (%#)", (release, expected) => {
    expect(command(release)).toBe(expected);
  });
});

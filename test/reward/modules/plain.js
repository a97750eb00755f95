export default { name: "plain", score: () => 0.25 };

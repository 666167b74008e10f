Scalar.createApiReference("#reference", {
  url: "openapi.json",
  showDeveloperTools: "never",
  showToolbar: "never",
  hideClientButton: true,
  withDefaultFonts: false,
  telemetry: false,
  agent: { disabled: true },
  documentDownloadType: "json",
});

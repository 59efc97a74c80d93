// Read at run time. Empty: the API is on this page's own origin. A container writes this file from its API_URL variable.
window._env_ = { API_URL: "" };

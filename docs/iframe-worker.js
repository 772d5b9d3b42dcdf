// A browser starts no worker for a page that was opened as a file. There, what searches the site is a script in a hidden
// frame instead. The theme would fetch such a stand-in from elsewhere, and knows it by this name.
window.IFrameWorker = class extends EventTarget {
  constructor(url) {
    super();
    const frame = document.createElement("iframe");
    frame.hidden = true;
    frame.srcdoc = "<!doctype html><title>search</title><body>";
    this.inside = new Promise(ready => frame.onload = () => {
      const script = frame.contentDocument.createElement("script");
      script.src = url;
      script.onload = () => ready(frame.contentWindow);
      frame.contentWindow.postMessage = data => this.dispatchEvent(new MessageEvent("message", { data }));
      frame.contentDocument.body.append(script);
    });
    document.body.append(frame);
  }

  postMessage(data) {
    this.inside.then(inside => inside.dispatchEvent(new MessageEvent("message", { data })));
  }
};

if (location.protocol === "file:") window.Worker = window.IFrameWorker;

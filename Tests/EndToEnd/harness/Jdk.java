// The JDK's own HTTP client, which offers h2c with every request and says a length of 0 with every GET: java Jdk.java PORT.
// It must not know what stands between it and the server.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.WebSocket;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;

public class Jdk {
  public static void main(String[] arguments) throws Exception {
    String authority = "127.0.0.1:" + arguments[0];
    HttpClient client = HttpClient.newHttpClient();
    for (int number = 0; number < 2; number++) {
      HttpRequest post = HttpRequest.newBuilder(URI.create("http://" + authority + "/v1/completions"))
          .header("Content-Type", "application/json")
          .POST(HttpRequest.BodyPublishers.ofString("{\"prompt\": \"" + number + "\"}"))
          .build();
      HttpResponse<String> answer = client.send(post, HttpResponse.BodyHandlers.ofString());
      System.out.println(answer.version() + " " + answer.statusCode() + " " + answer.body());
    }
    CompletableFuture<String> heard = new CompletableFuture<>();
    WebSocket socket = client.newWebSocketBuilder().buildAsync(URI.create("ws://" + authority + "/ws"),
        new WebSocket.Listener() {
          @Override
          public CompletionStage<?> onText(WebSocket from, CharSequence text, boolean isLast) {
            heard.complete(text.toString());
            return null;
          }
        }).get(20, TimeUnit.SECONDS);
    socket.sendText("over the tunnel", true).get(20, TimeUnit.SECONDS);
    System.out.println(heard.get(20, TimeUnit.SECONDS));
    socket.abort();
  }
}

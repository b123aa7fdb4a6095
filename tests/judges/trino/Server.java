/** Starts Trino: the class that the released server starts with is in no artifact of its own. */
public class Server {
    public static void main(String[] arguments) {
        new io.trino.server.Server().start(arguments[0]);
    }
}

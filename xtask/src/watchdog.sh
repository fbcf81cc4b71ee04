# Makes a PostgreSQL server, and puts it away when standard input ends: however the process at the other end of that pipe ends,
# the pipe ends with it.
#
# Arguments: the folder of PostgreSQL's programs; the folder to use, in which `password` and `settings` are.
# Says `ready` when the server takes connections, else why there is none. At the words `crash`, `kill` and `stop` the server ends, and at `start`
# it comes back.
programs=$1 folder=$2 server=

# QUIT: it ends at once and leaves everything as it is. INT: it ends its sessions, and puts everything in order.
end() {
    [ -z "$server" ] || {
        children=$(pgrep -P "$server")
        kill "-$1" "$server"
        wait "$server"
        # One that had just begun keeps the port open until it is gone.
        for child in $children; do
            while ps -o stat= -p "$child" | grep -q '^[^Z]'; do sleep 0.01; done
        done
    } 2>/dev/null
    server=
    rm -f "$folder/data/postmaster.pid"
}

# Every process of it ends without a word.
kill_all() {
    # Stopped, it sees none of them end, and starts none anew.
    kill -STOP "$server"
    pkill -KILL -P "$server"
    end KILL
} 2>/dev/null

put_away() {
    end QUIT
    cd / && rm -rf "$folder"
}

give_up() {
    tail -n 20 "$folder/log"
    put_away
    exit 1
}

is_ready() {
    # The server writes its status there.
    until grep -q '^ready' "$folder/data/postmaster.pid" 2>/dev/null; do
        kill -0 "$server" 2>/dev/null || return 1
        sleep 0.05
    done
}

start() {
    tries=0
    while
        "$programs/postgres" -D "$folder/data" >>"$folder/log" 2>&1 </dev/null &
        server=$!
        ! is_ready
    do
        # On a busy machine it takes a moment until the processes of a server that was killed have left its memory.
        tries=$((tries + 1))
        { [ "$tries" -lt 100 ] && tail -n 5 "$folder/log" | grep -q 'pre-existing shared memory'; } || give_up
        sleep 0.1
    done
    echo ready
}

cd "$folder" || exit 1
"$programs/initdb" --pgdata="$folder/data" --username=postgres --pwfile="$folder/password" \
    --auth-host=md5 --auth-local=reject --encoding=UTF8 --locale=C >"$folder/log" 2>&1 </dev/null || give_up
cat "$folder/settings" >>"$folder/data/postgresql.conf" || give_up
start
# Only the pipe's end ends us. The server has its own handlers.
trap '' HUP INT TERM
while read -r word; do
    case $word in
        crash) end QUIT && echo ended ;;
        kill) kill_all && echo ended ;;
        stop) end INT && echo ended ;;
        start) start ;;
    esac
done
put_away
